"""Random weights: bytes that never change, and numbers that are never degenerate."""

import ctypes
import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.errors import EngineError
from odllm_agent.formats.header import block_size
from odllm_agent.models.random_weights import pool

QUANTIZED = (
    *("Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1", "Q2_0", "Q1_0", "MXFP4", "TQ1_0", "TQ2_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS"),
    *("IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"),
)
# The first 16 digits of the checksum of each pool of seed 7. If one has to change, so has VERSION.
GOLDEN = {
    "F32": "7b0ce72fd7648b83",
    "F16": "cb0e6ae81453336a",
    "Q8_0": "1c9af5661efbc755",
    "Q5_0": "aca014bd09ffac2c",
    "Q5_1": "0fe58a6c4fb9b251",
    "Q4_0": "92861bad7afc7258",
    "Q2_K": "3c89cd1eea614cfe",
    "Q3_K": "7cf654467dc93908",
    "Q4_K": "2019235567aa565a",
    "Q5_K": "d39631fd629ef2dc",
    "Q6_K": "077aac5c321e338a",
    "BF16": "7b5dbd700da94250",
    "Q4_1": "6e449355f1f71d87",
    "Q1_0": "1143bfdd743952e9",
    "Q2_0": "3b4f173f0688e0fd",
    "MXFP4": "ef2429b2b32c2d23",
    "TQ1_0": "b21021ad2a6dd699",
    "TQ2_0": "792a21c6ee3145f6",
    "IQ4_NL": "fcc78f24ab90e370",
    "IQ4_XS": "7712d10b6c44b4e3",
    "IQ2_XXS": "1c554eb2b5bbec9e",
    "IQ2_XS": "7775ab3850f8cbdf",
    "IQ2_S": "8437c4a1448bc27d",
    "IQ3_XXS": "f4bfbadddd03c820",
    "IQ3_S": "24dfb2daf0cee4f8",
    "IQ1_S": "e593606c67244d23",
    "IQ1_M": "1b915a802bc0a12f",
    "norm": "739c99cbf29da1af",
}
# Where the F16 scales of a block lie, by offset in bytes, as in ggml-common.h.
SCALES = {
    "Q8_0": (0,),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q1_0": (0,),
    "Q2_0": (0,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
    **dict.fromkeys(("IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS"), (0,)),
    **dict.fromkeys(("IQ2_XXS", "IQ1_S"), (0,)),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}


def values(kind: str, seed: int = 7) -> NDArray[np.float64]:
    """The weights of some thousand blocks, as ggml itself reads them."""
    blocks = np.ascontiguousarray(pool(seed, kind)[:20_000])
    weights, _ = block_size(kind)
    read = np.empty(len(blocks) * weights, np.float32)
    takes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    dequantize = bound("ggml-base", f"dequantize_row_{_lower(kind)}", None, *takes)
    dequantize(blocks.ctypes.data, read.ctypes.data, read.size)
    return read.astype(np.float64).reshape(len(blocks), weights)


def _lower(kind: str) -> str:
    """A type's name in ggml's functions: of K-quants the last letter is a capital."""
    return f"{kind.lower()[:-1]}K" if kind.endswith("_K") else kind.lower()


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_same_seed_gives_the_same_bytes_everywhere(kind: str) -> None:
    assert hashlib.sha256(pool(7, kind).tobytes()).hexdigest()[:16] == GOLDEN[kind]


@pytest.mark.parametrize("kind", ["F16", "Q4_K"])
def test_another_seed_gives_other_bytes(kind: str) -> None:
    assert not np.array_equal(pool(7, kind), pool(8, kind))


@pytest.mark.parametrize("kind", QUANTIZED)
def test_every_block_is_of_its_types_size(kind: str) -> None:
    _, block_bytes = block_size(kind)
    assert pool(7, kind).shape[1] == block_bytes


@pytest.mark.parametrize("kind", QUANTIZED)
def test_quantized_weights_spread_like_trained_ones(kind: str) -> None:
    found = values(kind)
    assert np.isfinite(found).all()
    assert 0.01 < found.std() < 0.04
    assert abs(found.mean()) < 0.06 * found.std()
    assert np.abs(found).max() < 0.15


@pytest.mark.parametrize("kind", SCALES)
def test_scales_are_normal_numbers(kind: str) -> None:
    blocks = pool(7, kind)
    for place in SCALES[kind]:
        scales = np.ascontiguousarray(blocks[:, place : place + 2]).view("<f2").astype(float)
        assert np.isfinite(scales).all()
        assert np.abs(scales).min() >= np.finfo(np.float16).smallest_normal


@pytest.mark.parametrize("kind", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"])
def test_no_part_of_a_block_is_constant(kind: str) -> None:
    parts = values(kind).reshape(-1, 16)
    assert (parts.std(axis=1) > 0).all()


@pytest.mark.parametrize(("kind", "number"), [("F16", "<f2"), ("F32", "<f4")])
def test_plain_weights_are_neither_zero_nor_tiny_nor_endless(kind: str, number: str) -> None:
    found = pool(7, kind).view(number).astype(np.float64)
    sizes = np.abs(found)
    assert sizes.min() >= 2**-7
    assert sizes.max() < 2**-5
    assert 0.015 < found.std() < 0.025
    assert abs(found.mean()) < 0.001
    assert len(np.unique(found)) > 4000


def test_factors_of_norms_are_near_one() -> None:
    found = pool(7, "norm").view("<f4")
    assert found.min() >= 1
    assert found.max() <= 1.0625
    assert found.std() > 0.01


def test_a_type_that_cannot_be_made_is_told() -> None:
    with pytest.raises(EngineError, match="NVFP4"):
        pool(7, "NVFP4")
