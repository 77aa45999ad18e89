"""Package energy by the processor's own counters (RAPL), through pyRAPL's sensors.

Source of the counters' behaviour: Linux, Documentation/power/powercap/powercap.rst; Intel SDM
volume 3B, "Running Average Power Limit".
"""

import importlib
import logging
import platform
import re
import sys
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Protocol

from odllm_agent import linux
from odllm_agent.clock import monotonic_ns
from odllm_agent.contract import MeterReport, Method
from odllm_agent.meters.base import Limits, Meter, Reading, Unavailable

UJ_PER_J = 1_000_000
POWERCAP = Path("/sys/class/powercap/intel-rapl")

# The counter moves about once a millisecond (Intel SDM 3B; Haehnel et al. 2012, "Measuring energy
# consumption for short code paths using RAPL"), so each edge of a window may be off by one step:
# ten steps keep that error within a tenth of the figure.
PERIOD_S = 0.001
SHORTEST_S = 10 * PERIOD_S

# A step of 2**-14 J on most Intel and 2**-16 J on AMD processors (MSR_RAPL_POWER_UNIT, Intel SDM 4;
# AMD PPR, "RAPL"); the larger of both.
STEP_J = 2.0**-14

# The largest thermal design power of an x86 package on sale is 500 W (AMD EPYC 9965): no package
# sustains more over a window, and none wraps its counter sooner.
MOST_W = 500.0

NAME = "rapl"
DOMAIN = "package"
RUN_ON_THE_MACHINE = "run odllm-agent directly on the machine"
ALLOW_READING = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/*energy*_uj  # until the next boot"


class Counters(Protocol):
    """The part of pyRAPL's `PkgAPI` that is used here."""

    def energy(self) -> Sequence[float]:
        """Micro-joules by socket number, -1 where there is no such socket."""


class Rapl:
    """The energy of all processor packages together.

    Args:
        counters: pyRAPL's sensor.
        ranges_uj: By socket number, the value after which the socket's counter starts over.

    Raises:
        OSError: A counter cannot be read.
        ValueError: A counter gives no number, or is not among the sensor's.
    """

    name = NAME

    def __init__(self, counters: Counters, ranges_uj: Mapping[int, int]) -> None:
        self.limits = Limits(
            SHORTEST_S,
            longest_s=min(ranges_uj.values()) / UJ_PER_J / MOST_W,
            most_w=MOST_W * len(ranges_uj),
            step_j=STEP_J,
            period_s=PERIOD_S,
        )
        self._counters = counters
        self._ranges_uj = ranges_uj
        self._total_uj = 0.0
        self._last_uj = self._read_uj()

    @classmethod
    def open(cls) -> Meter:
        """The meter of this device, or one that says why there is none."""
        if not POWERCAP.is_dir():
            return Unavailable(NAME, DOMAIN, *_why_absent_here())
        try:
            ranges_uj = package_ranges_uj(POWERCAP)
            return cls(_package_counters(), ranges_uj)
        except ModuleNotFoundError as error:
            obstacle = f"{error.name} is not installed", 'pip install "odllm[agent]"'
        except PermissionError as error:
            obstacle = f"this user may not read {error.filename}", ALLOW_READING
        except (LookupError, OSError, ValueError) as error:
            obstacle = f"the energy counters cannot be read: {error}", "see docs/energy.md"
        return Unavailable(NAME, DOMAIN, *obstacle)

    def report(self) -> MeterReport:
        """That the package is measured."""
        return MeterReport(NAME, (DOMAIN,), Method.MEASURED)

    def read(self) -> Mapping[str, Reading]:
        """The packages' joules since the meter was opened."""
        at_ns = monotonic_ns()
        try:
            now_uj = self._read_uj()
        except (OSError, ValueError) as error:
            return {DOMAIN: Reading(at_ns, None, f"the counter could not be read: {error}")}
        self._total_uj += sum(
            advanced_uj(self._last_uj[socket], now_uj[socket], range_uj)
            for socket, range_uj in self._ranges_uj.items()
        )
        self._last_uj = now_uj
        return {DOMAIN: Reading(at_ns, self._total_uj / UJ_PER_J)}

    def _read_uj(self) -> dict[int, float]:
        values = dict(enumerate(self._counters.energy()))
        missing = [socket for socket in self._ranges_uj if values.get(socket, -1) < 0]
        if missing:
            raise ValueError(f"pyRAPL reads nothing of package {missing[0]}")
        return values


def advanced_uj(before_uj: float, after_uj: float, range_uj: int) -> float:
    """How far a counter that starts over at its range moved, in micro-joules.

    It must have been read at least once per turn; a reset looks like a turn, and is told from
    one by the power that it would mean.
    """
    moved_uj = after_uj - before_uj
    return moved_uj if moved_uj >= 0 else moved_uj + range_uj


def package_ranges_uj(powercap: Path) -> dict[int, int]:
    """By socket number, the value after which the socket's counter starts over.

    Args:
        powercap: The kernel's directory of RAPL zones; AMD's zones are under `intel-rapl` too.

    Raises:
        OSError: A zone cannot be read.
        LookupError: There is no package zone, or one that pyRAPL cannot tell apart.
    """
    names = {zone: (zone / "name").read_text().strip() for zone in powercap.glob("intel-rapl:*")}
    packages = {zone: name for zone, name in names.items() if name.startswith("package-")}
    if not packages or not all(re.fullmatch(r"package-\d+", name) for name in packages.values()):
        raise LookupError(f"pyRAPL needs zones like package-0 and found {sorted(names.values())}")
    return {
        int(name.removeprefix("package-")): int((zone / "max_energy_range_uj").read_text())
        for zone, name in packages.items()
    }


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


def _why_absent_here() -> tuple[str, str]:
    cpuinfo = linux.read_text(Path("/proc/cpuinfo")) or ""
    return why_absent(platform.system(), platform.machine(), cpuinfo, POWERCAP.is_symlink())


def _package_counters() -> Counters:
    with _quiet():
        pyrapl = importlib.import_module("pyRAPL")
        try:
            counters: Counters = pyrapl.PkgAPI()
        except pyrapl.PyRAPLException as error:
            raise LookupError("pyRAPL finds not one package zone per processor socket") from error
    # pyRAPL keeps its files open and has no way to close them.
    for file in counters._sys_files:  # type: ignore[attr-defined]  # noqa: SLF001
        weakref.finalize(counters, file.close)
    return counters


class _Without(MetaPathFinder):
    """Lets the import of some packages fail."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """No module for these names, and no opinion on others."""
        del path, target
        if fullname in self._names:
            raise ModuleNotFoundError(name=fullname)
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    # pyRAPL's optional outputs would load pandas into the process whose memory is measured (half a
    # second, 50 MB), and without them it warns through the root logger, which gives that logger a
    # handler. It also has an invalid escape, and never closes the files that it looks into.
    outputs = _Without("pandas", "pymongo")
    root = logging.getLogger()
    handlers = list(root.handlers)
    sys.meta_path.insert(0, outputs)
    root.addFilter(_is_no_import_warning)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, SyntaxWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        sys.meta_path.remove(outputs)
        root.removeFilter(_is_no_import_warning)
        root.handlers[:] = handlers


def _is_no_import_warning(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("imports error")
