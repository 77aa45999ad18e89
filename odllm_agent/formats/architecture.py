"""The published architectures whose shapes can be filled with random weights.

Sizes are those of `config.json` in the repositories Qwen/Qwen2.5-*-Instruct and
meta-llama/Llama-3.*-Instruct on Hugging Face; names and shapes of tensors are those that
llama.cpp's converter gives to them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext


@dataclass(frozen=True, slots=True)
class ArchitectureFamily:
    """What models of one family share.

    Attributes:
        name: llama.cpp's name of the architecture.
        tokenizer: llama.cpp's name of how a text is cut before it is tokenized.
        begins_texts: Whether every text begins with a token of its own.
        context_tokens: The longest context that the models are made for.
        norm_epsilon: What keeps a norm from dividing by zero.
        rope_base: The base of the rotary embedding's frequencies.
        rope_factor: By how much the slowest of them are slowed down; 1 for not at all.
        attention_bias: Whether queries, keys and values have biases.
    """

    name: str
    tokenizer: str
    begins_texts: bool
    context_tokens: int
    norm_epsilon: float
    rope_base: int
    rope_factor: int
    attention_bias: bool


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of one model.

    Attributes:
        family: What it shares with others.
        layers: The number of transformer blocks.
        width: The width of the residual stream.
        ffn: The width of the feed-forward part.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        vocabulary: The number of tokens.
        tied: Whether input and output share their embeddings.
    """

    family: ArchitectureFamily
    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool

    @property
    def head_width(self) -> int:
        """The width of one attention head."""
        return self.width // self.heads

    @property
    def n_weights(self) -> int:
        """The number of weights in all tensors."""
        return sum(math.prod(shape) for _, shape in self.tensor_shapes())

    def tensor_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every tensor's name and shape, rows first, in the order of the file."""
        width, vocabulary = self.width, self.vocabulary
        if self.family.rope_factor != 1:
            yield ROPE_FACTORS, (self.head_width // 2,)
        yield "token_embd.weight", (vocabulary, width)
        for block in range(self.layers):
            for part, shape in self._block_shapes():
                yield f"blk.{block}.{part}", shape
        yield "output_norm.weight", (width,)
        if not self.tied:
            yield "output.weight", (vocabulary, width)

    def _block_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        width, ffn = self.width, self.ffn
        kv_width = self.kv_heads * self.head_width
        yield "attn_norm.weight", (width,)
        for part, rows in (("q", width), ("k", kv_width), ("v", kv_width)):
            yield f"attn_{part}.weight", (rows, width)
            if self.family.attention_bias:
                yield f"attn_{part}.bias", (rows,)
        yield "attn_output.weight", (width, width)
        yield "ffn_norm.weight", (width,)
        yield "ffn_gate.weight", (ffn, width)
        yield "ffn_up.weight", (ffn, width)
        yield "ffn_down.weight", (width, ffn)


ROPE_FACTORS = "rope_freqs.weight"
"""The tensor of what each rotary frequency is divided by; Llama 3.1 and 3.2 have it."""

QWEN2 = ArchitectureFamily(
    name="qwen2",
    tokenizer="qwen2",
    begins_texts=False,
    context_tokens=32_768,
    norm_epsilon=1e-6,
    rope_base=1_000_000,
    rope_factor=1,
    attention_bias=True,
)
LLAMA3_1 = ArchitectureFamily(
    name="llama",
    tokenizer="llama-bpe",
    begins_texts=True,
    context_tokens=131_072,
    norm_epsilon=1e-5,
    rope_base=500_000,
    rope_factor=8,
    attention_bias=False,
)
LLAMA3_2 = replace(LLAMA3_1, rope_factor=32)

#                    family  layers width  ffn heads kv vocabulary tied
ARCHITECTURES: Mapping[str, Architecture] = {
    "qwen2.5-0.5B": Architecture(QWEN2, 24, 896, 4_864, 14, 2, 151_936, tied=True),
    "qwen2.5-1.5B": Architecture(QWEN2, 28, 1_536, 8_960, 12, 2, 151_936, tied=True),
    "qwen2.5-3B": Architecture(QWEN2, 36, 2_048, 11_008, 16, 2, 151_936, tied=True),
    "qwen2.5-7B": Architecture(QWEN2, 28, 3_584, 18_944, 28, 4, 152_064, tied=False),
    "qwen2.5-14B": Architecture(QWEN2, 48, 5_120, 13_824, 40, 8, 152_064, tied=False),
    "llama-3.2-1B": Architecture(LLAMA3_2, 16, 2_048, 8_192, 32, 8, 128_256, tied=True),
    "llama-3.2-3B": Architecture(LLAMA3_2, 28, 3_072, 8_192, 24, 8, 128_256, tied=True),
    "llama-3.1-8B": Architecture(LLAMA3_1, 32, 4_096, 14_336, 32, 8, 128_256, tied=False),
}
"""Every architecture by name, in its family from small to large."""

_PI = Decimal("3.14159265358979323846264338327950288")
_FIRST_CONTEXT_TOKENS = 8192
_SLOW, _FAST = 1, 4


def rope_factors(architecture: Architecture) -> tuple[float, ...]:
    """What each rotary frequency is divided by, shape (head_width / 2,).

    The rule is `rope_type: llama3` of the published configs: frequencies that turn fully within a
    quarter of the context that Llama 3 was first trained on are kept, those that do not turn once
    within all of it are divided by the factor, and between the two it goes over smoothly. Worked
    out in decimal, it gives the same figures on every machine.
    """
    with localcontext(prec=40):
        half, family = architecture.head_width // 2, architecture.family
        steps = (Decimal(place) / half for place in range(half))
        base = Decimal(family.rope_base)
        return tuple(float(_divisor(base**step, family.rope_factor)) for step in steps)


def _divisor(wavelength_by_turn: Decimal, factor: int) -> Decimal:
    turns = _FIRST_CONTEXT_TOKENS / (2 * _PI * wavelength_by_turn)
    kept = min(max((turns - _SLOW) / (_FAST - _SLOW), Decimal(0)), Decimal(1))
    return 1 / ((1 - kept) / factor + kept)
