"""Every meter that measures on this device, over a window that is long enough for it."""

import time

import pytest

from odllm_agent.contract import MeterReport, Phase
from odllm_agent.meters import energies, open_meters, read, reports


@pytest.mark.parametrize("report", reports(), ids=lambda report: report.name)
def test_a_meter_that_measures_tells_what_a_device_may_draw(report: MeterReport) -> None:
    if not report.domains:
        pytest.skip(f"no {report.name}: {report.reason}")
    meters = open_meters((report.name,))
    before = read(meters)
    seconds = 2 * meters[0].limits.shortest_s
    time.sleep(seconds)
    told = energies(Phase.DECODE, meters, before, read(meters))
    figures_w = {energy.domain: (energy.energy_j or 0.0) / seconds for energy in told}
    # Cores and built-in graphics may sleep for that long; what holds them does not.
    assert any(0.01 < power_w < meters[0].limits.most_w for power_w in figures_w.values()), told
