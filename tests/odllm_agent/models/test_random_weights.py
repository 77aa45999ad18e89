"""Random weights: bytes that never change, and numbers that are never degenerate."""

import hashlib

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from odllm_agent.errors import EngineError
from odllm_agent.formats.header import block_size
from odllm_agent.models.random_weights import pool

QUANTIZED = ("Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
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
    "norm": "739c99cbf29da1af",
}
# Where the F16 scales of a block lie, by offset in bytes, as in ggml-common.h.
SCALES = {
    "Q8_0": (0,),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q4_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}


def values(kind: str, seed: int = 7) -> NDArray[np.float64]:
    """The weights of some thousand blocks, as gguf-py reads them."""
    blocks = pool(seed, kind)[:20_000]
    read: NDArray[np.float32] = gguf.dequantize(blocks, GGMLQuantizationType[kind])
    return read.astype(np.float64)


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


@pytest.mark.parametrize("kind", QUANTIZED)
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
    with pytest.raises(EngineError, match="IQ4_NL"):
        pool(7, "IQ4_NL")
