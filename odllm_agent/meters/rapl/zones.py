"""The kernel's RAPL zones: what they are called, and where each starts over.

Each zone stands for itself: one that tells no name or no range takes from the others only what
would be wrong without it. The same packages under `intel-rapl-mmio` are never looked at, and the
platform (psys) is never added to them.

Source: Linux, Documentation/power/powercap/powercap.rst. AMD's zones are under `intel-rapl` too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.files.small_files import list_folder, read_int, read_word
from odllm_agent.meters.rapl.pyrapl import UJ_PER_J

PACKAGE = "package"
PSYS = "psys"
IN_PACKAGE = ("core", "uncore", "dram")
DOMAINS = (PACKAGE, *IN_PACKAGE, PSYS)

# A package at its most turns a counter of less within a tenth of a second, between two readings:
# none is made so, for 32 bits of the smallest steps hold a thousand times as much.
_LEAST_RANGE_UJ = 50 * UJ_PER_J

_PACKAGE_NAME = re.compile(r"package-([0-9]+)(-die-[0-9]+)?")
# The kernel numbers those of the other packages (drivers/powercap/intel_rapl_common.c).
_PLATFORM_NAME = re.compile(rf"{PSYS}(-[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Zone:
    """One of the kernel's energy counters.

    Attributes:
        energy_file: The file of its counter, in micro-joules.
        range_j: The value after which it starts over, or `None` where it does not tell.
        socket: The number of the processor socket that it is of; 0 for the platform.
    """

    energy_file: Path
    range_j: float | None
    socket: int

    @classmethod
    def read(cls, directory: Path, socket: int) -> "Zone":
        """The zone of a directory."""
        energy_file = directory / "energy_uj"
        range_uj = read_int(directory / "max_energy_range_uj") or 0
        # A counter that is beyond its range has another one.
        believed = range_uj > max(_LEAST_RANGE_UJ, read_int(energy_file) or 0)
        return cls(energy_file, range_uj / UJ_PER_J if believed else None, socket)


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of a machine.

    Attributes:
        by_domain: One per package, or per die of it; psys has one. A domain that only some of the
            packages show is left out, for its sum would be too small.
        lost: Why each of the other domains is not told.
    """

    by_domain: Mapping[str, Sequence[Zone]]
    lost: Mapping[str, str]


def find_zones(powercap: Path, sockets: int = 0) -> Zones:
    """The zones of each domain.

    Args:
        powercap: The kernel's directory of RAPL zones.
        sockets: How many processor sockets are on, or 0 where the system does not tell.
    """
    named, nameless = _names(powercap)
    packages = {name: path for name, path in named if _PACKAGE_NAME.fullmatch(name)}
    found: dict[str, Sequence[Zone]] = {}
    lost: dict[str, str] = {}
    incomplete = _why_incomplete(packages, nameless, sockets)
    for domain in (PACKAGE, *IN_PACKAGE):
        parts, reason = _parts(domain, packages)
        reason = incomplete or reason
        found |= {} if reason else {domain: parts}
        lost |= {domain: reason} if reason else {}
    platforms = {name: path for name, path in named if _PLATFORM_NAME.fullmatch(name)}
    reason = _why_not_one(platforms, nameless)
    found |= {} if reason else {PSYS: [Zone.read(path, 0) for path in platforms.values()]}
    lost |= {PSYS: reason} if reason else {}
    return Zones(found, lost)


def _names(directory: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """The zones right below a directory by what the kernel calls them, and those without a name.

    The first of two with the same name counts: it is the same zone.
    """
    paths = list_folder(directory, r"intel-rapl(:[0-9]+)+")
    told = [(read_word(path / "name"), path) for path in paths]
    named: dict[str, Path] = {}
    for name, path in told:
        if name is not None:
            named.setdefault(name, path)
    return list(named.items()), [path.name for name, path in told if name is None]


def _why_incomplete(packages: Mapping[str, Path], nameless: Sequence[str], sockets: int) -> str:
    """Why the sum of the packages would be too small, or nothing."""
    shown = {_socket(name) for name in packages}
    if not packages:
        return _why_not_shown(PACKAGE, nameless)
    if len(shown) < sockets:
        return f"{sockets} processor sockets are on, and only {_listed(packages)} has a counter"
    of_dies = any("die" in name for name in packages)
    if nameless and (of_dies or not sockets):
        return f"{_listed(nameless)} tells no name and may be a package beside {_listed(packages)}"
    return ""


def _why_not_one(platforms: Mapping[str, Path], nameless: Sequence[str]) -> str:
    """Why there is not exactly one counter of the platform, or nothing."""
    if not platforms:
        return _why_not_shown(PSYS, nameless)
    if len(platforms) > 1:
        # Where each package has one, no documentation tells whether they overlap.
        return f"{_listed(platforms)} may each be of the whole platform or of a part of it"
    return ""


def _parts(domain: str, packages: Mapping[str, Path]) -> tuple[list[Zone], str]:
    """The zones of a domain, one per package, or why there are too few."""
    if domain == PACKAGE:
        return [Zone.read(path, _socket(name)) for name, path in packages.items()], ""
    parts, nameless = [], []
    for package, directory in packages.items():
        named, untold = _names(directory)
        parts += [Zone.read(path, _socket(package)) for name, path in named if name == domain]
        nameless += untold
    if not parts:
        return [], _why_not_shown(domain, nameless)
    if len(parts) < len(packages):
        return [], f"only {len(parts)} of {len(packages)} packages show a {domain} counter"
    return parts, ""


def _why_not_shown(domain: str, nameless: Sequence[str]) -> str:
    told = f"this machine shows no {domain} counter"
    return f"{told}, but {_listed(nameless)} tells no name" if nameless else told


def _listed(names: Sequence[str] | Mapping[str, Path]) -> str:
    return ", ".join(names)


def _socket(package: str) -> int:
    found = _PACKAGE_NAME.fullmatch(package)
    return int(found[1]) if found else 0
