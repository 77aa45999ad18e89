import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.host.memory_fit import (
    ASSUMED_SYSTEM_BYTES,
    assumed_available_bytes,
    why_too_large,
    with_spare,
)

sizes = st.integers(0, 2**45)


@given(sizes, sizes)
def test_what_fits_is_what_leaves_the_margin_free(needed_bytes: int, available_bytes: int) -> None:
    fits = why_too_large(needed_bytes, available_bytes) is None
    assert fits == (1.05 * needed_bytes + 64e6 - 1 <= available_bytes)


@given(sizes)
def test_the_margin_itself_is_enough(needed_bytes: int) -> None:
    enough = with_spare(needed_bytes)
    assert why_too_large(needed_bytes, enough) is None
    assert why_too_large(needed_bytes, enough - 1)


def test_the_reason_names_both_sizes() -> None:
    reason = why_too_large(10 * 10**9, 8 * 10**9)
    assert reason
    assert "10.56 GB" in reason
    assert "8.00 GB are free" in reason


@pytest.mark.parametrize("total_bytes", [0, 10**9, 16 * 2**30])
def test_a_device_that_cannot_be_asked_runs_a_system_too(total_bytes: int) -> None:
    assert assumed_available_bytes(total_bytes) == max(0, total_bytes - ASSUMED_SYSTEM_BYTES)
