"""The families of weight types, by llama.cpp's names.

Types of one family share their layout and so their kernels, which makes them alike in more than
their bits: ggml's K-quants hold super-blocks of 256 weights with scales that are quantized too, the
legacy types blocks of 32 with a scale each, the IQ types take weights from a codebook.
"""

import re
from enum import StrEnum


class TypeFamily(StrEnum):
    """Types of weights that are laid out alike."""

    K_QUANTS = "K-quants"
    LEGACY = "legacy"
    IQ = "IQ"
    UNQUANTIZED = "unquantized"
    OTHER = "other"


_PATTERNS = {
    TypeFamily.K_QUANTS: re.compile(r"Q\d_K(_\w+)?"),
    TypeFamily.LEGACY: re.compile(r"Q\d_[01]"),
    TypeFamily.IQ: re.compile(r"IQ\d_\w+"),
    TypeFamily.UNQUANTIZED: re.compile(r"(B?F16|F32)"),
}


def family(quantization: str) -> TypeFamily:
    """The family of a type.

    Args:
        quantization: Its name, such as Q4_K_M, in either case.
    """
    name = quantization.upper()
    return next((each for each, of in _PATTERNS.items() if of.fullmatch(name)), TypeFamily.OTHER)


def is_quantized(quantization: str) -> bool:
    """Whether a type is not one that models are published in."""
    return family(quantization) is not TypeFamily.UNQUANTIZED
