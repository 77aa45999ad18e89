"""The processor's energy counters on Windows, through zeus's reader of the energy meter interface.

Source: zeus, zeus/device/cpu/emi.py; Microsoft, "Energy Meter Interface".
"""

import importlib
import platform
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from odllm_agent.contract import MissingDomain
from odllm_agent.meters.base import Meter, Unavailable, WindowLimits
from odllm_agent.meters.energy.counter import Bounds, Counter
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import COUNTED, Sensor, Sum, open_sensors

MODULE = "zeus.device.cpu.emi"
MJ_PER_J = 1000

# The interface counts in picowatt-hours.
STEP_J = 1e-12 * 3600

# How often Windows renews the counters is not documented; assumed.
PERIOD_S = 0.1
STALLED_S = 10 * PERIOD_S

# As of RAPL, whose counters these are.
MOST_W = 500.0

PACKAGE = "package"
DRAM = "dram"
INSTALL = 'pip install "zeus @ git+https://github.com/ml-energy/zeus"'


class CpuDramMeasurement(Protocol):
    """The part of zeus's `CpuDramMeasurement` that is used here."""

    cpu_mj: float
    dram_mj: float | None


class Package(Protocol):
    """The part of zeus's `EMICPU` that is used here."""

    def get_total_energy_consumption(self) -> CpuDramMeasurement:
        """Millijoules so far."""

    def supports_get_dram_energy_consumption(self) -> bool:
        """Whether it counts its DRAM too."""


def open_meter(request: Request) -> Meter:
    """The meter of this device, or one that says why there is none."""
    system = platform.system()
    if system != "Windows":
        reason = f"the energy meter interface is Windows', and this is {system}"
        return Unavailable(request.text, PACKAGE, reason, "use rapl on Linux and apple on macOS")
    try:
        packages: Sequence[Package] = importlib.import_module(MODULE).EMICPUs().cpus
        sensors = {PACKAGE: _sum(packages, package_j)}
        if all(package.supports_get_dram_energy_consumption() for package in packages):
            sensors[DRAM] = _sum(packages, dram_j)
    except ModuleNotFoundError as error:
        return Unavailable(request.text, PACKAGE, f"{error.name} is not installed", INSTALL)
    except Exception as error:  # noqa: BLE001 - the failure becomes data
        reason = f"Windows shows no energy meter: {error}"
        return Unavailable(request.text, PACKAGE, reason, "use Windows 11 on the machine itself")
    limits = WindowLimits.of_period(PERIOD_S, MOST_W * len(packages), STEP_J)
    no_dram = MissingDomain(DRAM, "this machine shows no dram counter")
    missing = [] if DRAM in sensors else [no_dram]
    return open_sensors(request.text, COUNTED, limits, sensors, missing=missing)


def package_j(package: Package) -> float:
    """The joules that a package has counted."""
    return package.get_total_energy_consumption().cpu_mj / MJ_PER_J


def dram_j(package: Package) -> float:
    """The joules that a package has counted of its DRAM.

    Raises:
        LookupError: It counts none.
    """
    dram_mj = package.get_total_energy_consumption().dram_mj
    if dram_mj is None:
        raise LookupError("the package no longer counts its DRAM")
    return dram_mj / MJ_PER_J


def _sum(packages: Sequence[Package], value_j: Callable[[Package], float]) -> Sensor:
    bounds = Bounds(MOST_W, PERIOD_S, stalled_s=STALLED_S)
    return Sum([Counter(partial(value_j, package), bounds) for package in packages])
