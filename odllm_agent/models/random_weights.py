"""Random weights of every type, the same from the same seed on every machine.

Each type has a pool of blocks of random bits, in which a few bits are fixed so that every scale
and every number is finite and of a size that trained weights have. A tensor is cut from its type's
pool, over and over. No floating-point number is worked out: bits come from SHAKE-128 (FIPS 202),
whose output is the same everywhere.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from odllm_agent.errors import EngineError
from odllm_agent.formats.header import Header, Tensor, block_size

VERSION = 1
"""Of the bytes that a seed gives; another one gives other bytes."""

POOL_BLOCKS = 262_147
"""A prime above the rows of any tensor: whatever a row's length in blocks, none comes twice."""

_STEP_BLOCKS = 65_537
_NORM = "norm"
_F16_BIAS = 15


@dataclass(frozen=True, slots=True)
class Bits:
    """Bytes whose bits are random but for some.

    Attributes:
        n_bytes: The number of bytes.
        random: The bits that are random.
        ones: The bits that are set; all others are not.
    """

    n_bytes: int
    random: int = 0xFF
    ones: int = 0x00


def _scale(exponent: int) -> tuple[Bits, ...]:
    """An F16 number of either sign, its size from 2^exponent to twice that."""
    return Bits(1), Bits(1, random=0b1_00000_11, ones=(exponent + _F16_BIAS) << 2)


def _near(eighths: int, exponent: int, *, negative: bool = False) -> tuple[Bits, ...]:
    """An F16 number of a size from (1 + eighths / 8) 2^exponent to an eighth of 2^exponent more."""
    high = negative << 7 | (exponent + _F16_BIAS) << 2 | eighths >> 1
    return Bits(1, random=0x7F, ones=(eighths & 1) << 7), Bits(1, random=0x00, ones=high)


# The layouts are those of ggml-common.h. Where a block has a scale and a minimum, the minimum lies
# so that the weights of the block spread about zero. Scales of parts of a block are never zero.
_BLOCKS: Mapping[str, tuple[Bits, ...]] = {
    # From 2^-7 to 2^-5 in size, of either sign.
    "F32": (Bits(3), Bits(1, random=0b1_0000000, ones=0b0_0111100)),
    "F16": (Bits(1), Bits(1, random=0b1_00001_11, ones=0b0_01000_00)),
    # The upper half of an F32.
    "BF16": (Bits(1), Bits(1, random=0b1_0000000, ones=0b0_0111100)),
    # d, 32 signed bytes.
    "Q8_0": (*_scale(-12), Bits(32, ones=0x01)),
    # d, fifth bits, 32 x 4 bits.
    "Q5_0": (*_scale(-9), Bits(4), Bits(16)),
    # d, m, fifth bits, 32 x 4 bits.
    "Q5_1": (*_near(0, -9), *_near(0, -5, negative=True), Bits(4), Bits(16)),
    # d, 32 x 4 bits.
    "Q4_0": (*_scale(-8), Bits(16)),
    # d, m, 32 x 4 bits.
    "Q4_1": (*_near(0, -8), *_near(7, -6, negative=True), Bits(16)),
    # d, 128 signs.
    "Q1_0": (*_scale(-6), Bits(16)),
    # d, 64 x 2 bits.
    "Q2_0": (*_scale(-7), Bits(16)),
    # A power of two, 32 x 4 bits.
    "MXFP4": (Bits(1, random=0x00, ones=0x78), Bits(16)),
    # 240 weights of 3 values, five to a byte, the last 16 of them, d.
    "TQ1_0": (Bits(48), Bits(4), *_scale(-6)),
    # 256 x 2 bits, d.
    "TQ2_0": (Bits(64), *_scale(-7)),
    # d, 32 x 4 bits that are places in a table.
    "IQ4_NL": (*_scale(-12), Bits(16)),
    # d, the upper 2 bits of 8 scales, set so that the lower 4 count from 0, 256 x 4 bits.
    "IQ4_XS": (
        *_scale(-14),
        Bits(2, random=0, ones=0xAA),
        Bits(4, random=0x22, ones=0x11),
        Bits(128),
    ),
    # d, places of 8 weights in a table, with signs and scales in some order.
    "IQ2_XXS": (*_scale(-12), Bits(64)),
    "IQ2_XS": (*_scale(-12), Bits(64), Bits(8)),
    "IQ2_S": (*_scale(-12), Bits(64), Bits(8), Bits(8)),
    "IQ3_XXS": (*_scale(-13), Bits(96)),
    "IQ3_S": (*_scale(-13), Bits(64), Bits(8), Bits(32), Bits(4)),
    "IQ1_S": (*_scale(-9), Bits(32), Bits(16)),
    # Places, their upper bits, scales of 3 bits with the four digits of d between them.
    "IQ1_M": (
        Bits(32),
        Bits(16),
        Bits(4),
        *(Bits(1), Bits(1, random=0x3F, ones=0x80)),
        *(Bits(1), Bits(1, random=0x8F, ones=0x10)),
    ),
    # 16 x 4 bits of scale and of minimum, 256 x 2 bits, d, dmin.
    "Q2_K": (Bits(16, ones=0x88), Bits(64), *_near(0, -10), *_near(4, -10)),
    # 256 third bits, 256 x 2 bits, 16 scales of 6 bits whose lowest is set, d.
    "Q3_K": (Bits(32), Bits(64), Bits(8, ones=0x11), Bits(4), *_scale(-12)),
    # d, dmin, 8 scales and minima of 6 bits whose highest is set, 256 x 4 bits.
    "Q4_K": (*_near(0, -14), *_near(7, -12), Bits(8, ones=0xA0), Bits(4), Bits(128)),
    # The same, and 256 fifth bits before the 256 x 4 bits.
    "Q5_K": (*_near(0, -14), *_near(0, -10), Bits(8, ones=0xA0), Bits(4), Bits(32), Bits(128)),
    # 256 x 4 bits, 256 x 2 bits, 16 scales of 8 bits, d.
    "Q6_K": (Bits(128), Bits(64), Bits(16, random=0x07, ones=0x08), *_scale(-14)),
    # An F32 from 1 to 1.0625.
    _NORM: (Bits(2), Bits(1, random=0x07, ones=0x80), Bits(1, random=0x00, ones=0x3F)),
}


def fill(header: Header, seed: int, given: Mapping[str, bytes]) -> None:
    """Writes weights into a file that has a hole in their place.

    Args:
        header: The file's header.
        seed: What the weights are drawn from.
        given: The bytes of tensors that are not random, by name.

    Raises:
        EngineError: A tensor is of a type that cannot be made.
        OSError: The file cannot be written.
    """
    pool_of = cache(partial(pool, seed))
    with header.path.open("r+b") as file:
        for place, tensor in enumerate(header.tensors):
            file.seek(header.layout.data_start_bytes + tensor.offset_bytes)
            if tensor.name in given:
                file.write(given[tensor.name])
                continue
            kind = _NORM if tensor.name.endswith("norm.weight") else tensor.type
            for piece in _cut(pool_of(kind), place * _STEP_BLOCKS, tensor):
                file.write(piece.data)


def pool(seed: int, kind: str) -> NDArray[np.uint8]:
    """The blocks that tensors of one kind are cut from, shape (blocks, bytes of a block).

    Args:
        seed: What their bits are drawn from.
        kind: ggml's name of a type, or `norm` for the factors of a norm.

    Raises:
        EngineError: The kind cannot be made.
    """
    if kind not in _BLOCKS:
        raise EngineError(
            f"there is no way to fill weights of the type {kind}", "choose another quantization"
        )
    random = _per_byte(_BLOCKS[kind], "random")
    drawn = hashlib.shake_128(f"odllm {seed} {kind}".encode()).digest(POOL_BLOCKS * len(random))
    blocks = np.frombuffer(drawn, np.uint8).reshape(POOL_BLOCKS, len(random)) & random
    blocks |= _per_byte(_BLOCKS[kind], "ones")
    return blocks


def _per_byte(block: tuple[Bits, ...], name: str) -> NDArray[np.uint8]:
    values = [getattr(bits, name) for bits in block for _ in range(bits.n_bytes)]
    return np.array(values, np.uint8)


def _cut(blocks: NDArray[np.uint8], start: int, tensor: Tensor) -> Iterator[NDArray[np.uint8]]:
    """A tensor's blocks from its own place in the pool on, in pieces that need no copy."""
    block, _ = block_size(tensor.type)
    left, start = tensor.n_weights // block, start % len(blocks)
    while left:
        piece = blocks[start : start + left]
        yield piece
        left, start = left - len(piece), 0
