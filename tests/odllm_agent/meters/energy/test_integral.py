import gc
import itertools
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odllm_agent.clock import seconds_between
from odllm_agent.meters.base import WindowLimits, window
from odllm_agent.meters.energy import integral
from odllm_agent.meters.energy.integral import Integral
from tests.odllm_agent.meters.hand_clock import HandClock, set_in
from tests.odllm_agent.meters.script import Script

LIMITS = WindowLimits(shortest_s=0.0, longest_s=1e9, most_w=1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """A clock for integrals that nothing reads but the test."""
    monkeypatch.setattr(integral, "_keep_reading", lambda reference, period_s: None)
    return set_in(monkeypatch, integral)


def told(
    clock: HandClock, *steps: float | Exception, every_s: float = 0.1
) -> list[tuple[float | None, str]]:
    """Each window between two readings of a power, and the one around all of them."""
    sensor = Integral(Script(*steps), 0.1)
    readings = []
    for _ in steps[1:]:
        clock.advance(every_s)
        readings.append(sensor.read())
    pairs = [*itertools.pairwise(readings), (readings[0], readings[-1])]
    return [window(before, after, LIMITS) for before, after in pairs]


def test_power_is_integrated_by_trapezoids(clock: HandClock) -> None:
    ramp, flat, whole = told(clock, 0.0, 10.0, 20.0, 20.0)
    assert ramp[0] == pytest.approx(1.5)
    assert flat[0] == pytest.approx(2.0)
    assert whole[0] == pytest.approx(3.5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(1.0, 1e3), min_size=4, max_size=30))
def test_windows_side_by_side_add_up(clock: HandClock, watts: list[float]) -> None:
    *parts, whole = told(clock, *watts)
    assert whole[0] == pytest.approx(sum(part[0] or 0.0 for part in parts))


def test_a_failure_spoils_every_window_that_holds_it_and_no_other(clock: HandClock) -> None:
    failure = LookupError("the mains is plugged in")
    good, going, coming, mended, whole = told(clock, 1.0, 10.0, 10.0, failure, 10.0, 10.0)
    assert [good[0], mended[0]] == pytest.approx([1.0, 1.0])
    assert going == coming == whole == (None, "the mains is plugged in")


def test_a_thread_that_comes_late_leaves_a_gap_and_no_guess(clock: HandClock) -> None:
    window_, _ = told(clock, 10.0, 10.0, 10.0, every_s=1.1)
    assert window_ == (None, "the power was not read for 1.1 s")


def test_a_sensor_that_tells_nothing_but_0_is_no_measurement(clock: HandClock) -> None:
    assert told(clock, 0.0, 0.0, 0.0)[0][0] is None


def test_the_thread_reads_in_between_and_ends_with_the_integral() -> None:
    before = set(threading.enumerate())
    # Both edges are quiet: without the thread each window would be of 5 W.
    pulse = threading.Event()
    sensor = Integral(lambda: 45.0 if pulse.is_set() else 5.0, 0.01)
    # A busy machine may keep the thread from reading, which is told; it does not every time.
    for _ in range(20):
        first = sensor.read()
        pulse.set()
        time.sleep(0.2)
        pulse.clear()
        last = sensor.read()
        energy_j, reason = window(first, last, LIMITS)
        if energy_j is not None:
            break
    assert energy_j is not None, reason
    assert energy_j / seconds_between(first.at_ns, last.at_ns) > 25.0
    (thread,) = set(threading.enumerate()) - before
    del sensor
    gc.collect()
    thread.join(timeout=30)
    assert not thread.is_alive()
