"""Apple silicon's energy counters, through zeus's library for them.

Source: zeus-apple-silicon, README, "AppleEnergyMetrics". The package is what Apple's powermetrics
calls combined power: CPU, GPU and neural engine. It holds core and gpu, which are told apart too.
"""

import importlib
import platform
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from odllm_agent.contract import MissingDomain
from odllm_agent.meters.base import Meter, Unavailable, WindowLimits
from odllm_agent.meters.energy.counter import Bounds, Counter
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import COUNTED, open_sensors

MODULE = "zeus_apple_silicon"
MJ_PER_J = 1000
STEP_J = 1 / MJ_PER_J

# How often macOS renews the counters is not documented; assumed.
PERIOD_S = 0.1

# The largest such machine has a power supply of 480 W (Mac Studio).
MOST_W = 480.0

INSTALL = 'pip install "odllm[zeus]"'

PACKAGE = "package"
FIELDS: Mapping[str, tuple[str, ...]] = {
    PACKAGE: ("cpu_total_mj", "gpu_mj", "gpu_sram_mj", "ane_mj"),
    "core": ("cpu_total_mj",),
    "gpu": ("gpu_mj", "gpu_sram_mj"),
    "dram": ("dram_mj",),
}


class Monitor(Protocol):
    """The part of zeus's `AppleEnergyMonitor` that is used here."""

    def get_cumulative_energy(self) -> object:
        """Millijoules so far by field, `None` where the chip does not tell."""


def open_meter(request: Request) -> Meter:
    """The meter of this device, or one that says why there is none."""
    here = platform.system(), platform.machine()
    if here != ("Darwin", "arm64"):
        reason = f"the meter reads Apple silicon, and this is {' '.join(here)}"
        return Unavailable(request.text, PACKAGE, reason, "use rapl on Linux and emi on Windows")
    try:
        monitor: Monitor = importlib.import_module(MODULE).AppleEnergyMonitor()
        told = {domain: total_j(monitor, domain) for domain in FIELDS}
        sensors = {
            domain: Counter(partial(_required_j, monitor, domain), Bounds(MOST_W, PERIOD_S))
            for domain, joules in told.items()
            if joules is not None
        }
    except ModuleNotFoundError as error:
        return Unavailable(request.text, PACKAGE, f"{error.name} is not installed", INSTALL)
    except Exception as error:  # noqa: BLE001 - the failure becomes data
        reason = f"macOS shows no energy: {error}"
        return Unavailable(request.text, PACKAGE, reason, "use macOS on the machine itself")
    missing = [
        MissingDomain(domain, f"this chip tells no {domain} energy")
        for domain in FIELDS
        if domain not in sensors
    ]
    limits = WindowLimits.of_period(PERIOD_S, MOST_W, STEP_J)
    return open_sensors(request.text, COUNTED, limits, sensors, missing=missing)


def total_j(monitor: Monitor, domain: str) -> float | None:
    """The joules of a domain so far, or `None` where the chip does not tell its main part."""
    energy = monitor.get_cumulative_energy()
    parts_mj: list[int | None] = [getattr(energy, name) for name in FIELDS[domain]]
    if parts_mj[0] is None:
        return None
    return sum(part_mj for part_mj in parts_mj if part_mj is not None) / MJ_PER_J


def _required_j(monitor: Monitor, domain: str) -> float:
    joules = total_j(monitor, domain)
    if joules is None:
        raise LookupError(f"the chip no longer tells its {domain} energy")
    return joules
