"""The ladder's byte-level BPE tokenizer, split as qwen2 splits text."""

from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer

from training.corpus import training_documents

VOCAB_SIZE = 1024
END_OF_TEXT = "<|endoftext|>"

# llama.cpp builds the same rule into its pre-tokenizer "qwen2"; any other would give other tokens.
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SAMPLE_DOCUMENTS = 6_000


def train_tokenizer(seed: int) -> Tokenizer:
    """Return a tokenizer of exactly ``VOCAB_SIZE`` tokens learnt from the seed's documents."""
    tokenizer = Tokenizer(BPE())
    split = Split(Regex(_QWEN2_SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(training_documents(seed), _SAMPLE_DOCUMENTS), trainer)
    if tokenizer.get_vocab_size() != VOCAB_SIZE:
        raise ValueError(f"the text gave {tokenizer.get_vocab_size()} tokens, not {VOCAB_SIZE}")
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer stored at ``path``."""
    return Tokenizer.from_file(str(path))
