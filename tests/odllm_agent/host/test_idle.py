"""A device watched for a moment."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.host.idle import busiest, look


def test_the_busiest_are_told_with_the_cores_that_they_took() -> None:
    before = {(1, "init"): 5.0, (7, "browser"): 100.0, (9, "idle"): 3.0}
    after = {(1, "init"): 5.1, (7, "browser"): 103.0, (8, "compiler"): 1.0, (9, "idle"): 3.0}
    found = busiest(before, after, 2.0)
    assert [name for name, _ in found] == ["browser", "compiler", "init"]
    assert [cores for _, cores in found] == pytest.approx([1.5, 0.5, 0.05])


@given(
    st.dictionaries(st.tuples(st.integers(1, 9), st.just("p")), st.floats(0, 10)),
    st.dictionaries(st.tuples(st.integers(1, 9), st.just("p")), st.floats(0, 10)),
)
def test_no_process_is_busy_that_did_nothing(
    before: dict[tuple[int, str], float], after: dict[tuple[int, str], float]
) -> None:
    found = busiest(before, after, 1.0)
    assert len(found) <= 3
    assert all(cores > 0 for _, cores in found)
    assert sorted(found, key=lambda pair: -pair[1]) == list(found)


def test_another_process_that_computes_is_seen_and_named() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            seen = look()
        finally:
            other.kill()
    # On a machine where more computes, it is one of many.
    assert seen.others_cores > 0.2
    assert seen.busiest
    assert "busy" in seen.flags
    assert seen.cores == os.cpu_count()
