"""Answers of the real ggml; which layouts it has depends on the processor."""

import numpy as np
import pytest

from odllm_agent.engines.llama_cpp.ggml import (
    activation_bytes,
    dot_product,
    is_repacked,
    repacked_bytes,
    value_bytes,
)


@pytest.mark.parametrize("shape", [(256,), (256, 7), (256, 7, 2), (256, 8, 2, 2)])
def test_what_no_layout_takes_is_not_repacked(shape: tuple[int, ...]) -> None:
    assert not is_repacked("Q4_0", shape)


@pytest.mark.parametrize("kind", ["F32", "Q9_9"])
def test_types_without_a_layout_are_not_repacked(kind: str) -> None:
    assert not is_repacked(kind, (256, 1024))


def test_ggml_is_asked_once_of_a_type_and_shape_and_answers_alike() -> None:
    is_repacked.cache_clear()
    first = is_repacked("Q4_0", (256, 1024))
    assert is_repacked("Q4_0", (256, 1024)) == first
    assert (is_repacked.cache_info().misses, is_repacked.cache_info().hits) == (1, 1)
    assert is_repacked("Q4_0", (256, 7)) is False, "no layout takes so few rows"
    assert is_repacked.cache_info().misses == 2
    is_repacked.cache_clear()
    assert is_repacked("Q4_0", (256, 1024)) == first


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"])
def test_a_copy_in_another_layout_holds_the_weights_at_least(kind: str) -> None:
    copied_bytes = repacked_bytes(kind, (256, 1024))
    assert (copied_bytes is not None) == is_repacked(kind, (256, 1024))
    assert copied_bytes is None or copied_bytes >= 256 * 1024 * value_bytes(kind)


@pytest.mark.parametrize(
    ("kind", "bytes_each"),
    [("F32", 0), ("F16", 2), ("Q4_0", 34 / 32), ("Q6_K", 292 / 256), ("Q9_9", 0)],
)
def test_activations_take_the_room_of_the_type_that_they_meet_weights_in(
    kind: str, bytes_each: float
) -> None:
    assert activation_bytes(kind) == bytes_each


def test_a_dot_product_is_that_of_both_vectors() -> None:
    ones, twos = (np.full(4096, value, np.float32) for value in (1, 2))
    found = dot_product("F32")(4096, ones.ctypes.data, twos.ctypes.data)
    assert found == 8192


@pytest.mark.parametrize(
    ("kind", "bytes_each"), [("f16", 2), ("q8_0", 34 / 32), ("q4_0", 18 / 32), ("F32", 4)]
)
def test_values_of_a_type_take_their_scales_along(kind: str, bytes_each: float) -> None:
    assert value_bytes(kind) == bytes_each
