"""A counter that a script drives, above a clock that the test sets."""

import dataclasses
import errno
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odllm_agent.meters.base import MeterReading, WindowLimits, window
from odllm_agent.meters.energy import counter
from odllm_agent.meters.energy.counter import Bounds, Counter, advanced_j
from tests.odllm_agent.meters.hand_clock import HandClock, set_in
from tests.odllm_agent.meters.script import Script

RANGE_J = 262_143.328850  # of an Intel laptop, whose energy unit is 61 micro-joules
LIMITS = WindowLimits(shortest_s=0.01, longest_s=1e9, most_w=500.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    return set_in(monkeypatch, counter)


def read_all(
    clock: HandClock, steps: Sequence[float | Exception], bounds: Bounds, every_s: float
) -> list[MeterReading]:
    """The readings of a counter that was opened at the first step."""
    metered = Counter(Script(*steps), bounds)
    readings = []
    for _ in steps[1:]:
        clock.advance(every_s)
        readings.append(metered.read())
    return readings


def told(
    clock: HandClock, *steps: float | Exception, every_s: float = 1.0, **changes: Any
) -> list[tuple[float | None, str]]:
    """Each window between two readings of a counter, and the one around all of them."""
    bounds = dataclasses.replace(Bounds(500.0, 0.001, RANGE_J), **changes)
    readings = read_all(clock, steps, bounds, every_s)
    pairs = [*itertools.pairwise(readings), (readings[0], readings[-1])]
    return [window(before, after, LIMITS) for before, after in pairs]


def test_a_counter_tells_what_it_moved(clock: HandClock) -> None:
    assert told(clock, 5.0, 6.0, 8.0, 12.0) == [(2.0, ""), (4.0, ""), (6.0, "")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    range_j=st.floats(1, RANGE_J),
    start=st.floats(0, 1, exclude_max=True),
    steps=st.lists(st.floats(0, 0.99), min_size=1, max_size=20),
)
def test_a_counter_that_wraps_loses_nothing(
    clock: HandClock, range_j: float, start: float, steps: list[float]
) -> None:
    true_j = [start * range_j]
    for step in steps:
        true_j.append(true_j[-1] + step * range_j)
    # At most a turn a second, and read more often than that.
    bounds = Bounds(range_j, 0.001, range_j)
    readings = read_all(clock, [value % range_j for value in true_j], bounds, every_s=0.99)
    for value, reading in zip(true_j[1:], readings, strict=True):
        assert reading.energy_j == pytest.approx(value - true_j[0], abs=1e-6 * range_j)


@given(st.floats(0, RANGE_J), st.floats(0, RANGE_J))
def test_a_step_of_a_counter_with_a_range_is_never_negative(
    before_j: float, after_j: float
) -> None:
    assert 0 <= advanced_j(before_j, after_j, RANGE_J) <= RANGE_J


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENODEV, "No such device"), ValueError("could not convert ''")]
)
def test_a_failure_spoils_every_window_that_holds_it_and_no_other(
    clock: HandClock, failure: Exception
) -> None:
    good, going, coming, mended, whole = told(clock, 0.0, 1.0, 2.0, failure, 4.0, 8.0)
    assert (good, mended) == ((1.0, ""), (4.0, ""))
    for energy_j, reason in (going, coming, whole):
        assert energy_j is None
        assert f"the counter could not be read: {failure}" in reason


def test_a_counter_that_fails_from_the_start_is_none(clock: HandClock) -> None:
    with pytest.raises(OSError, match="No such device"):
        told(clock, OSError(errno.ENODEV, "No such device"), 1.0)


@pytest.mark.parametrize(
    ("range_j", "reason"), [(None, "went back by 1 J"), (RANGE_J, "the counter jumped: 2.62e+05 J")]
)
def test_a_counter_that_goes_back_is_a_fault(
    clock: HandClock, range_j: float | None, reason: str
) -> None:
    back, good, whole = told(clock, 4.0, 5.0, 4.0, 4.5, range_j=range_j)
    assert good == (0.5, "")
    assert (back[0], whole[0]) == (None, None)
    assert reason in back[1]
    assert reason in whole[1]


def test_a_reset_that_would_hide_in_a_long_window_is_seen_between_its_edges(
    clock: HandClock,
) -> None:
    # Taken for a wrap, 257 kJ: 1286 W over 200 s, and a plausible 322 W over the whole window.
    *_, whole = told(clock, 4000.0, 4500.0, 5000.0, 5.0, 10.0, 15.0, every_s=200.0)
    assert whole[0] is None
    assert "jumped" in whole[1]


def test_a_counter_that_may_have_wrapped_twice_between_readings_is_a_fault(
    clock: HandClock,
) -> None:
    window_, _ = told(clock, 0.0, 1.0, 2.0, every_s=600.0)
    assert window_ == (None, "the counter was not read for 600 s and may wrap every 524 s")


def test_a_long_window_is_told_if_it_was_read_often_enough(clock: HandClock) -> None:
    values_j = [100.0 * turn for turn in range(10)]
    *_, whole = told(clock, *values_j, every_s=500.0)
    assert whole == (800.0, "")


@pytest.mark.parametrize(("stalled_s", "energy_j"), [(1.5, None), (None, 2.0)])
def test_standing_still_is_a_fault_where_something_is_always_drawn(
    clock: HandClock, stalled_s: float | None, energy_j: float | None
) -> None:
    moved, *_, thawed, good, whole = told(
        clock, 0.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 4.0, stalled_s=stalled_s
    )
    assert moved == (1.0, "")
    assert good == (1.0, "")
    assert thawed[0] == (None if stalled_s else 1.0)
    assert whole[0] == (None if stalled_s else 3.0)
    assert ("stood still" in whole[1]) == bool(stalled_s)


def test_a_counter_that_is_read_seldom_is_not_taken_for_a_stuck_one(clock: HandClock) -> None:
    assert told(clock, 0.0, 1.0, 5.0, every_s=100.0, stalled_s=0.5)[0] == (4.0, "")


def test_two_quick_readings_may_differ_by_a_whole_step(clock: HandClock) -> None:
    # 28 W for a millisecond, between two readings 5 us apart, would be 5600 W.
    *_, last = read_all(clock, [0.0, 0.0, 0.028], Bounds(500.0, 0.001, RANGE_J), every_s=5e-6)
    assert (last.energy_j, last.fault) == (0.028, "")


def test_the_longest_time_between_readings_follows_from_the_range() -> None:
    assert Bounds(500.0, 0.001, 65_532.610987).longest_s == pytest.approx(131.07, abs=0.01)
    assert Bounds(500.0, 0.001).longest_s == float("inf")
