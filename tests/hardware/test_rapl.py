"""Package energy from the processor's real counters."""

import time

import pytest

from odllm_agent.contract import Energy, Phase
from odllm_agent.meters import energies, open_meters, read
from odllm_agent.meters.rapl.meter import open_meter
from odllm_agent.meters.request import Request

REPORT = open_meter(Request.parse("rapl")).report()
pytestmark = pytest.mark.skipif(not REPORT.domains, reason=f"no package energy: {REPORT.reason}")


def one_second(*, busy: bool) -> Energy:
    """The package's energy in one second of work or of rest."""
    meters = open_meters(("rapl",))
    before, end = read(meters), time.monotonic() + 1.0
    while busy and time.monotonic() < end:
        pass
    time.sleep(max(0.0, end - time.monotonic()))
    told = energies(Phase.DECODE, meters, before, read(meters))
    return next(energy for energy in told if energy.domain == "package")


def test_work_draws_more_than_rest() -> None:
    rest, work = one_second(busy=False), one_second(busy=True)
    assert rest.energy_j is not None, rest.reason
    assert work.energy_j is not None, work.reason
    assert 0.1 < rest.energy_j < work.energy_j < 500
