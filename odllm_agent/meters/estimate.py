"""An estimate from CPU time, where there is no sensor: only ever asked for by name.

    power = idle + (full load - idle) x share of the CPUs' time that was busy

`tdp_w` stands for a full load at the thermal design power and an idle of nothing, which counts each
CPU second at the stated power per core. `idle_w` and `full_w` are better: measure them at the wall.
"""

import os

from odllm_agent.clock import monotonic_ns, seconds_between
from odllm_agent.contract import Method
from odllm_agent.errors import UsageError
from odllm_agent.host.disturbance import TICK_S
from odllm_agent.host.state import busy_s
from odllm_agent.meters.base import Meter, MeterReading, WindowLimits
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import open_sensors

DOMAIN = "package"
MEANS = "CPU time at stated watts"


class CpuTime:
    """The joules that busy and idle CPUs are taken to draw.

    Args:
        idle_w: With every CPU idle.
        full_w: With every CPU busy.
        n_cpus: The hardware threads of the machine.
    """

    def __init__(self, idle_w: float, full_w: float, n_cpus: int) -> None:
        self._idle_w = idle_w
        self._busy_w = (full_w - idle_w) / n_cpus
        self._start_ns = monotonic_ns()
        self._start_busy_s = busy_s()

    def read(self) -> MeterReading:
        """The joules since the meter was opened."""
        at_ns = monotonic_ns()
        idle_j = self._idle_w * seconds_between(self._start_ns, at_ns)
        busy_j = self._busy_w * (busy_s() - self._start_busy_s)
        return MeterReading(at_ns, idle_j + busy_j)


def open_meter(request: Request) -> Meter:
    """The estimate of what was stated.

    Raises:
        UsageError: No power is stated, or it makes no sense.
    """
    idle_w, full_w = stated_w(request)
    n_cpus = os.cpu_count() or 1
    limits = WindowLimits.of_period(TICK_S, most_w=2 * full_w, step_j=TICK_S * full_w / n_cpus)
    sensors = {DOMAIN: CpuTime(idle_w, full_w, n_cpus)}
    return open_sensors(request.text, MEANS, limits, sensors, method=Method.ESTIMATED)


def stated_w(request: Request) -> tuple[float, float]:
    """The power of an idle and of a fully loaded machine.

    Raises:
        UsageError: Neither a thermal design power nor such a pair is stated, or both, or the
            load draws no more than the idle machine.
    """
    tdp_w, idle_w, full_w = (request.number(key) for key in ("tdp_w", "idle_w", "full_w"))
    pair = (0.0, tdp_w) if tdp_w is not None else (idle_w, full_w)
    given = [value for value in (tdp_w, idle_w, full_w) if value is not None]
    if pair[0] is None or pair[1] is None or len(given) != (1 if tdp_w is not None else 2):
        raise UsageError(
            f"{request.text} states no power, or too many",
            "write estimate:tdp_w=28, or estimate:idle_w=4,full_w=31",
        )
    if pair[0] >= pair[1]:
        raise UsageError(
            f"{request.text} draws no more under load than idle", "state the larger one as full_w"
        )
    return pair[0], pair[1]
