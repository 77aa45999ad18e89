"""A published model as an F16 file whose weights are a hole.

The tokenizer has as many tokens as the published one, but not its words: text can be tokenized, not
as the real model would.
"""

from contextlib import closing
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType

from odllm_agent.formats.architecture import Architecture
from odllm_agent.formats.header import Header, Tensor, read_header
from odllm_agent.models.quantizer_dry_run import end_in_hole

_BYTES = 256


def write_skeleton(path: Path, name: str, architecture: Architecture) -> Header:
    """Writes everything but the weights.

    Args:
        path: The file to write, of the size that it would have with weights.
        name: What the file says that it is.
        architecture: The model's shape.

    Raises:
        OSError: The file cannot be written.
    """
    with closing(GGUFWriter(path, architecture.family.name)) as writer:
        writer.add_name(name)
        _add_shape(writer, architecture)
        _add_tokenizer(writer, architecture)
        tensors = [_added(writer, *each) for each in architecture.tensor_shapes()]
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    with path.open("ab") as file:
        end_in_hole(file, tensors, writer.data_alignment)
    return read_header(path)


def _added(writer: GGUFWriter, name: str, shape: tuple[int, ...]) -> Tensor:
    """Adds a tensor: matrices are F16 and the rest is F32, as llama.cpp's converter has it."""
    kind, number = ("F16", np.float16) if len(shape) > 1 else ("F32", np.float32)
    tensor = Tensor(name, kind, shape[::-1], 0)
    writer.add_tensor_info(name, shape, np.dtype(number), tensor.n_bytes)
    return tensor


def _add_shape(writer: GGUFWriter, architecture: Architecture) -> None:
    family = architecture.family
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(architecture.vocabulary)
    writer.add_context_length(family.context_tokens)
    writer.add_embedding_length(architecture.width)
    writer.add_block_count(architecture.layers)
    writer.add_feed_forward_length(architecture.ffn)
    writer.add_head_count(architecture.heads)
    writer.add_head_count_kv(architecture.kv_heads)
    writer.add_rope_dimension_count(architecture.head_width)
    writer.add_rope_freq_base(family.rope_base)
    writer.add_layer_norm_rms_eps(family.norm_epsilon)


def _add_tokenizer(writer: GGUFWriter, architecture: Architecture) -> None:
    vocabulary, family = architecture.vocabulary, architecture.family
    # llama.cpp loads no byte-level tokenizer without merges, so there is one.
    known = [*_bytes_as_text(), "ab"]
    rest = [f"<|{place}|>" for place in range(len(known), vocabulary)]
    begin, end = vocabulary - 2, vocabulary - 1
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(family.tokenizer)
    writer.add_token_list(known + rest)
    writer.add_token_types([TokenType.NORMAL] * (vocabulary - 2) + [TokenType.CONTROL] * 2)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(family.begins_texts)


def _bytes_as_text() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(_BYTES) if byte not in printable)
    moved = {byte: _BYTES + place for place, byte in enumerate(others)}
    return [chr(moved.get(byte, byte)) for byte in range(_BYTES)]
