"""The kernel's RAPL zones: what they are called, and where each starts over.

Source: Linux, Documentation/power/powercap/powercap.rst. AMD's zones are under `intel-rapl` too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.meters.pyrapl import UJ_PER_J

PACKAGE = "package"
PSYS = "psys"
IN_PACKAGE = ("core", "uncore", "dram")
DOMAINS = (PACKAGE, *IN_PACKAGE, PSYS)


@dataclass(frozen=True, slots=True)
class Zone:
    """One of the kernel's energy counters.

    Attributes:
        energy_file: The file of its counter, in micro-joules.
        range_j: The value after which it starts over.
        socket: The number of the processor socket that it is of; 0 for the platform.
    """

    energy_file: Path
    range_j: float
    socket: int

    @classmethod
    def read(cls, directory: Path, socket: int) -> "Zone":
        """The zone of a directory.

        Raises:
            OSError: Its range cannot be read.
            ValueError: Its range is no number.
        """
        range_uj = int((directory / "max_energy_range_uj").read_text())
        return cls(directory / "energy_uj", range_uj / UJ_PER_J, socket)


def find_zones(powercap: Path) -> Mapping[str, Sequence[Zone]]:
    """The zones of each domain, one per socket; psys has one.

    A domain that only some of the sockets show is left out, for its sum would be too small.

    Args:
        powercap: The kernel's directory of RAPL zones.

    Raises:
        OSError: A zone cannot be read.
        LookupError: There is no package zone, or one that pyRAPL cannot tell apart.
    """
    packages = {name: path for path, name in _names(powercap, "intel-rapl") if "package" in name}
    if not packages or not all(re.fullmatch(r"package-\d+", name) for name in packages):
        names = sorted(name for _, name in _names(powercap, "intel-rapl"))
        raise LookupError(f"pyRAPL needs zones like package-0 and found {names}")
    found = {PACKAGE: [Zone.read(path, _socket(name)) for name, path in packages.items()]}
    for domain in IN_PACKAGE:
        parts = [
            Zone.read(path, _socket(package))
            for package, directory in packages.items()
            for path, name in _names(directory, directory.name)
            if name == domain
        ]
        if len(parts) == len(packages):
            found[domain] = parts
    platform = [Zone.read(path, 0) for path, name in _names(powercap, "intel-rapl") if name == PSYS]
    return found | ({PSYS: platform} if platform else {})


def _names(directory: Path, prefix: str) -> list[tuple[Path, str]]:
    """The zones right below a directory, with what the kernel calls them."""
    paths = sorted(directory.glob(f"{prefix}:*"))
    return [(path, (path / "name").read_text().strip()) for path in paths]


def _socket(package: str) -> int:
    return int(package.removeprefix("package-"))
