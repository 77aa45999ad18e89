"""The sampler with its real thread, above counters whose power is known."""

import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Method, Phase
from odllm_agent.host.state import cpus
from odllm_agent.meters import energies, long_enough_s
from odllm_agent.meters.base import WindowLimits
from odllm_agent.meters.sampler import MOST_SHARE, PERIOD_S, Sampler, period_s, spare_cpu
from tests.steady import Steady


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_a_counter_that_wraps_many_times_in_a_window_is_followed() -> None:
    # A turn of a fifth of a second: a hundred joules at 500 W.
    meter = Steady(
        watts=500.0, range_j=100.0, limits=WindowLimits(0.01, longest_s=0.2, most_w=501.0)
    )
    with Sampler((meter,)) as sampler:
        sampler.begin()
        time.sleep(1.0)
        window = sampler.cut()
    (found,) = energies(Phase.DECODE, (meter,), *window)
    # A thread that is kept waiting for a whole turn makes the figure unavailable, never wrong.
    if found.energy_j is None:
        assert "too long for the sensor" in found.reason
        return
    assert found.window_s is not None
    assert found.energy_j == pytest.approx(500.0 * found.window_s, rel=0.001)
    assert found.energy_j > 400.0


def test_the_same_counter_read_at_the_edges_alone_has_no_figure() -> None:
    meter = Steady(
        watts=500.0, range_j=100.0, limits=WindowLimits(0.01, longest_s=0.2, most_w=501.0)
    )
    edges = [(meter.read(),)]
    time.sleep(0.3)
    (found,) = energies(Phase.DECODE, (meter,), *edges, (meter.read(),))
    assert found.energy_j is None


def test_one_edge_ends_a_window_and_begins_the_next() -> None:
    with Sampler((Steady(),)) as sampler:
        sampler.begin()
        first, second = sampler.cut(), sampler.cut()
    assert first[-1] is second[0]
    assert len(first) >= 2


def test_what_was_read_before_a_window_is_forgotten() -> None:
    meter = Steady()
    with Sampler((meter,)) as sampler:
        time.sleep(0.2)
        sampler.begin()
        (before, *_) = window = sampler.cut()
    assert len(window) < meter.n_read
    assert before[0]["package"].energy_j


@pytest.mark.parametrize("method", [Method.ESTIMATED, Method.UNAVAILABLE])
def test_without_a_meter_that_measures_nothing_is_sampled(method: Method) -> None:
    meter = Steady(method=method)
    with Sampler((meter,)) as sampler:
        assert "odllm-sampler" not in threads()
        assert sampler.long_enough_s == 0.0
        sampler.begin()
        assert len(sampler.cut()) == 2


def test_the_thread_ends_with_its_context() -> None:
    with Sampler((Steady(),)):
        assert "odllm-sampler" in threads()
    assert "odllm-sampler" not in threads()


def test_an_engine_that_takes_all_threads_leaves_none_to_spare() -> None:
    usable = cpus()
    assert spare_cpu(len(usable)) is None
    assert spare_cpu(0) is None
    if len(usable) > 1:
        assert spare_cpu(1) == usable[-1]


@given(st.floats(0, 10))
def test_sampling_never_takes_more_than_its_share(cost_s: float) -> None:
    wait_s = period_s(cost_s, math.inf)
    assert cost_s / wait_s <= MOST_SHARE * (1 + 1e-9)
    assert wait_s >= PERIOD_S


@given(st.floats(0, 10), st.floats(0.01, 1000))
def test_a_counter_is_always_read_several_times_per_turn(cost_s: float, turn_s: float) -> None:
    assert period_s(cost_s, turn_s) <= turn_s / 4


@pytest.mark.parametrize(
    ("limits", "long_s"),
    [
        (WindowLimits(0.01, 100, 500, period_s=0.001), 0.02),
        (WindowLimits(0.2, 100, 500, period_s=0.001), 0.2),
        (WindowLimits(0.5, 100, 500, period_s=0.1), 1.0),
        (WindowLimits(30.0, 100, 500, period_s=15.0), 0.0),
    ],
)
def test_a_window_is_long_enough_at_twenty_updates_and_never_waits_for_slow_sensors(
    limits: WindowLimits, long_s: float
) -> None:
    assert long_enough_s((Steady(limits=limits),)) == long_s
    assert long_enough_s((Steady(limits=limits, method=Method.ESTIMATED),)) == 0.0
