import os

import pytest

from odllm_agent.contract import Method, Phase
from odllm_agent.errors import UsageError
from odllm_agent.host.state import read_state
from odllm_agent.meters import energies, estimate, open_meters, read
from odllm_agent.meters.estimate import CpuTime
from tests.odllm_agent.meters.hand_clock import HandClock, set_in


class Busy:
    """A busy time of the device that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.busy_s = 100.0
        monkeypatch.setattr(estimate, "busy_s", lambda: self.busy_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    return set_in(monkeypatch, estimate)


@pytest.mark.parametrize(
    ("idle_w", "full_w", "busy_s", "energy_j"),
    [(0.0, 28.0, 80.0, 280.0), (0.0, 28.0, 20.0, 70.0), (4.0, 28.0, 20.0, 40.0 + 60.0)],
)
def test_cpu_time_counts_at_the_stated_power(
    monkeypatch: pytest.MonkeyPatch,
    clock: HandClock,
    idle_w: float,
    full_w: float,
    busy_s: float,
    energy_j: float,
) -> None:
    busy = Busy(monkeypatch)
    sensor = CpuTime(idle_w, full_w, n_cpus=8)
    clock.advance(10.0)
    busy.busy_s += busy_s
    assert sensor.read().energy_j == pytest.approx(energy_j)


def test_work_is_estimated_as_such_and_carries_what_was_stated() -> None:
    meters = open_meters(("estimate:tdp_w=28",))
    report = meters[0].report()
    assert (report.name, report.method) == ("estimate:tdp_w=28", Method.ESTIMATED)
    before = read(meters)
    start_s = read_state().own_cpu_s
    while read_state().own_cpu_s - start_s < 0.3:
        sum(range(10_000))
    (energy,) = energies(Phase.DECODE, meters, before, read(meters))
    assert (energy.domain, energy.method) == ("package", Method.ESTIMATED)
    assert energy.energy_j is not None
    n_cpus = os.cpu_count() or 1
    assert energy.energy_j >= 0.25 * 28 / n_cpus


@pytest.mark.parametrize(
    "settings",
    ["", ":idle_w=4", ":full_w=30", ":tdp_w=28,idle_w=4", ":idle_w=30,full_w=4", ":tdp_w=0"],
)
def test_a_power_that_makes_no_sense_is_refused(settings: str) -> None:
    with pytest.raises(UsageError, match=f"estimate{settings}"):
        open_meters((f"estimate{settings}",))
