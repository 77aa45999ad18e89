"""A device watched for a moment while nothing is measured on it."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import DeviceState
from odllm_agent.host import disturbance, state

LOOK_S = 1.0
_BUSIEST = 3
_LEAST_CORES = 0.02

CpuTimes = Mapping[tuple[int, str], float]


@dataclass(frozen=True, slots=True)
class Look:
    """A device watched for a moment while nothing is measured.

    Attributes:
        before: Its state at the start.
        after: Its state at the end.
        wall_s: The seconds between.
        busiest: The processes that took most of it, with the cores that each kept busy.
        cores: The device's hardware threads.
    """

    before: DeviceState
    after: DeviceState
    wall_s: float
    busiest: tuple[tuple[str, float], ...]
    cores: int

    @property
    def flags(self) -> tuple[str, ...]:
        """What a repeat would have been flagged with."""
        return disturbance.flags(self.before, self.after, self.wall_s, self.cores)

    @property
    def others_cores(self) -> float:
        """The cores that other processes kept busy."""
        return max(0.0, disturbance.others_s(self.before, self.after)) / self.wall_s


def look() -> Look:
    """Watches the device for a second."""
    times, before, start = _cpu_times(), state.read_state(), monotonic_ns()
    time.sleep(LOOK_S)
    wall_s, after = seconds_since(start), state.read_state()
    top = busiest(times, _cpu_times(), wall_s)
    return Look(before, after, wall_s, top, psutil.cpu_count() or 1)


def busiest(before: CpuTimes, after: CpuTimes, wall_s: float) -> tuple[tuple[str, float], ...]:
    """The processes that took most of the CPUs, with the cores that each kept busy.

    Args:
        before: CPU seconds by process id and name.
        after: The same later; a process that is new did nothing before.
        wall_s: The seconds between.
    """
    cores = [
        (name, (seconds - before.get((pid, name), 0.0)) / wall_s)
        for (pid, name), seconds in after.items()
    ]
    top = sorted(cores, key=lambda pair: -pair[1])[:_BUSIEST]
    return tuple((name, taken) for name, taken in top if taken >= _LEAST_CORES)


def _cpu_times() -> dict[tuple[int, str], float]:
    """CPU seconds of every other process, by its id and name."""
    found = {}
    own = psutil.Process().pid
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != own:
                times = process.cpu_times()
                found[process.pid, process.name()] = times.user + times.system
    return found
