import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Phase, PowerSample
from odllm_agent.meters.base import MeterReading, WindowLimits
from odllm_agent.meters.energy.trace import apart, power
from tests.steady import Steady


def reading(seconds: float, energy_j: float | None) -> dict[str, MeterReading]:
    return {"package": MeterReading(int(seconds * 1e9), energy_j)}


def traced(*readings: dict[str, MeterReading]) -> tuple[PowerSample, ...]:
    return power(Phase.DECODE, Steady(), readings, start_ns=int(1e9))


def test_power_is_told_between_readings_in_seconds_since_the_start() -> None:
    found = traced(reading(1.5, 0.0), reading(2.5, 10.0), reading(4.5, 70.0))
    assert found == (
        PowerSample(Phase.DECODE, "package", "steady", 0.5, 1.5, 10.0),
        PowerSample(Phase.DECODE, "package", "steady", 1.5, 3.5, 30.0),
    )


def test_a_reading_that_failed_is_bridged() -> None:
    (found,) = traced(reading(1.0, 0.0), reading(2.0, None), reading(3.0, 40.0))
    assert (found.start_s, found.end_s, found.power_w) == (0.0, 2.0, 20.0)


def test_a_counter_that_does_not_move_or_jumps_has_no_power_there_rather_than_0_w() -> None:
    found = traced(reading(1, 0.0), reading(2, 0.0), reading(3, 9.0), reading(4, 9999.0))
    assert [each.power_w for each in found] == [9.0]


@given(
    st.lists(st.tuples(st.floats(1e-4, 2.0), st.floats(1e-3, 1.0)), min_size=1, max_size=40),
    st.floats(1e-3, 0.5),
)
def test_power_over_time_is_the_energy_of_the_window(
    steps: list[tuple[float, float]], shortest_s: float
) -> None:
    meter = Steady(limits=WindowLimits(shortest_s, 1e9, 1e9))
    readings, at_s, total_j = [reading(0.0, 0.0)], 0.0, 0.0
    for seconds, joules in steps:
        at_s, total_j = at_s + seconds, total_j + joules
        readings.append(reading(at_s, total_j))
    found = power(Phase.DECODE, meter, readings, start_ns=0)
    if readings[-1]["package"].at_ns / 1e9 < shortest_s:
        assert found == ()
        return
    assert sum(each.power_w * (each.end_s - each.start_s) for each in found) == pytest.approx(
        total_j, rel=1e-6
    )
    assert all(each.end_s - each.start_s >= shortest_s - 1e-9 for each in found)


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(1, 300))
def test_kept_readings_are_far_enough_apart_and_hold_the_last(
    stamps: list[int], least_ms: int
) -> None:
    readings = [MeterReading(stamp * 1_000_000, 1.0) for stamp in sorted(stamps)]
    kept = apart(readings, least_ms / 1e3)
    gaps = [after.at_ns - before.at_ns for before, after in itertools.pairwise(kept)]
    assert all(gap >= least_ms * 1_000_000 for gap in gaps)
    if len(kept) > 1:
        assert kept[-1] is readings[-1]
