"""The processor's own energy counters (RAPL).

Package and DRAM come through pyRAPL's sensors where it finds the same counters, and else from the
kernel's files themselves; cores, built-in graphics (uncore) and the whole platform (psys) beside
them. The platform holds the package, and the package its cores and graphics:
they are told apart and never added up.

Source of the counters' behaviour: Linux, Documentation/power/powercap/powercap.rst; Intel SDM
volume 3B, "Running Average Power Limit".
"""

import contextlib
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from odllm_agent.contract import MissingDomain
from odllm_agent.files.small_files import read_text
from odllm_agent.host import linux
from odllm_agent.meters.base import Meter, Unavailable, WindowLimits
from odllm_agent.meters.energy.counter import Bounds, Counter
from odllm_agent.meters.kernel_file import NumberFile
from odllm_agent.meters.rapl import pyrapl
from odllm_agent.meters.rapl.pyrapl import MOST_UJ, UJ_PER_J
from odllm_agent.meters.rapl.zones import DOMAINS, PACKAGE, PSYS, Zone, Zones, find_zones
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import COUNTED, Sensor, Sum, apart, open_sensors

POWERCAP = Path("/sys/class/powercap/intel-rapl")
ROOT = Path("/")

# The counter moves about once a millisecond (Intel SDM 3B; Haehnel et al. 2012, "Measuring energy
# consumption for short code paths using RAPL").
PERIOD_S = 0.001

# A step of 2**-14 J on most Intel and 2**-16 J on AMD processors (MSR_RAPL_POWER_UNIT, Intel SDM 4;
# AMD PPR, "RAPL"); the larger of both.
STEP_J = 2.0**-14

# The largest thermal design power of an x86 package on sale is 500 W (AMD EPYC 9965): no package
# sustains more over a window, and none wraps its counter sooner.
MOST_W = 500.0

# The least energy after which a counter of 32 bits starts over: 2**32 steps of 2**-16 J, for those
# that do not tell.
LEAST_RANGE_J = 2.0**16

# Hundreds of updates: no processor that runs draws nothing for as long. Cores that sleep and
# built-in graphics that nothing is shown on may, so theirs may stand still.
STALLED_S = 0.5
MAY_STAND_STILL = ("core", "uncore")

THROUGH_PYRAPL: Mapping[str, pyrapl.Api] = {PACKAGE: "PkgAPI", "dram": "DramAPI"}
RUN_ON_THE_MACHINE = "run odllm-agent directly on the machine"
ALLOW_READING = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/*energy*_uj  # until the next boot"


def open_meter(request: Request) -> Meter:
    """The meter of this device, or one that says why there is none."""
    if not POWERCAP.is_dir():
        cpuinfo = read_text(Path("/proc/cpuinfo")) or ""
        why = why_absent(platform.system(), platform.machine(), cpuinfo, POWERCAP.is_symlink())
        return Unavailable(request.text, PACKAGE, *why)
    zones = find_zones(POWERCAP, len(linux.sockets(ROOT)))
    sensors, missing = apart({domain: _open(domain, zones) for domain in DOMAINS})
    return open_sensors(request.text, COUNTED, limits(zones.by_domain), sensors, missing=missing)


def limits(zones: Mapping[str, Sequence[Zone]]) -> WindowLimits:
    """The windows in which none of the zones may wrap twice."""
    turns_s = [
        (zone.range_j or LEAST_RANGE_J) / _most_w(domain, zones)
        for domain, parts in zones.items()
        for zone in parts
    ]
    return WindowLimits.of_period(
        PERIOD_S,
        most_w=max(
            (_most_w(domain, zones) * len(zones[domain]) for domain in zones), default=MOST_W
        ),
        step_j=STEP_J,
        longest_s=min(turns_s, default=LEAST_RANGE_J / MOST_W),
    )


def _most_w(domain: str, zones: Mapping[str, Sequence[Zone]]) -> float:
    """What one zone of a domain draws at most; the platform holds every package and more."""
    return MOST_W * (1 + len(zones.get(PACKAGE, ()))) if domain == PSYS else MOST_W


def _open(domain: str, zones: Zones) -> Sensor | MissingDomain:
    if domain in zones.lost:
        return MissingDomain(domain, zones.lost[domain])
    parts = zones.by_domain[domain]
    stalled_s = None if domain in MAY_STAND_STILL else STALLED_S
    most_w = _most_w(domain, zones.by_domain)
    try:
        return Sum(
            [
                Counter(value_j, Bounds(most_w, PERIOD_S, zone.range_j, stalled_s))
                for zone, value_j in zip(parts, _values_j(domain, parts), strict=True)
            ]
        )
    except PermissionError as error:
        return MissingDomain(domain, f"this user may not read {error.filename}", ALLOW_READING)
    except (OSError, ValueError) as error:
        reason = f"the energy counters cannot be read: {error}"
        return MissingDomain(domain, reason, "see docs/energy.md")


def _values_j(domain: str, zones: Sequence[Zone]) -> list[Callable[[], float]]:
    """What reads each zone's counter, in joules."""
    if domain in THROUGH_PYRAPL:
        # pyRAPL refuses machines whose files are sound: a processor that is off stops it, and so
        # does a package of several dies.
        files = [(zone.socket, zone.energy_file) for zone in zones]
        with contextlib.suppress(LookupError, ValueError):
            counters = pyrapl.counters(THROUGH_PYRAPL[domain], files)
            return [pyrapl.socket_value_j(counters, zone.socket) for zone in zones]
    return [_value_j(zone) for zone in zones]


def _value_j(zone: Zone) -> Callable[[], float]:
    file = NumberFile(zone.energy_file)

    def value_j() -> float:
        value_uj = file.read()
        if value_uj > MOST_UJ:
            raise ValueError(f"{zone.energy_file} is beyond any counter: {value_uj}")
        return value_uj / UJ_PER_J

    return value_j


def why_absent(system: str, machine: str, cpuinfo: str, hidden: bool) -> tuple[str, str]:
    """Why a device has no RAPL zones, and what to do about it.

    Args:
        system: The operating system's name, by `platform.system`.
        machine: The processor's architecture, by `platform.machine`.
        cpuinfo: The text of /proc/cpuinfo, or nothing.
        hidden: Whether the zones' directory is linked to and not there.
    """
    if system != "Linux":
        return f"RAPL is read from Linux's powercap files, and this is {system}", "use Linux"
    if machine not in ("x86_64", "AMD64", "i686"):
        return f"RAPL is in Intel and AMD processors, and this is {machine}", "use such a machine"
    if hidden:
        return "this container hides the energy counters of its machine", RUN_ON_THE_MACHINE
    if linux.is_virtual(cpuinfo):
        return "this virtual machine has no energy counters", RUN_ON_THE_MACHINE
    return (
        f"the kernel shows no {POWERCAP}",
        "sudo modprobe intel_rapl_msr  # AMD processors need Linux 5.11 or later",
    )
