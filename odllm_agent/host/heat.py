"""How hot a processor is, and how often it was throttled for it, by Linux's files.

Of files that repeat each other those count that can be read: one bad file hides none of the others.

Source: Linux, Documentation/hwmon/sysfs-interface.rst, coretemp.rst, k10temp.rst;
Documentation/driver-api/thermal/sysfs-api.rst.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.files.small_files import list_folder, read_cpus, read_int, read_ints, read_word

# Drivers of CPU temperature sensors: Intel, AMD, AMD out of tree, ARM boards.
CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
CPU_ZONES = ("x86_pkg_temp", "cpu")
# A thousand events a second for a month.
_COUNTS = range(2**32)

# No processor is made for less than -40 C, and above 125 C each switches itself off. Close to 0 C
# are sensors that are dead, and those that count in degrees, or in tenths of those or of kelvins.
COLDEST_C, HOTTEST_C, DEAD_C = -40.0, 125.0, 4.0


@dataclass(frozen=True, slots=True)
class Thermometers:
    """The files that tell a processor's temperature, in thousandths of a degree Celsius.

    Attributes:
        chips: Of each chip the sensors to read, and after them those to read if none of them tells.
        zones: The CPU's thermal zones, which stand in for the chips.
    """

    chips: tuple[tuple[tuple[Path, ...], ...], ...]
    zones: tuple[Path, ...]

    @classmethod
    def find(cls, classes: Path) -> "Thermometers":
        """Those of this device.

        Args:
            classes: The kernel's directory of classes.
        """
        chips = list_folder(classes / "hwmon", "hwmon[0-9]+")
        zones = list_folder(classes / "thermal", "thermal_zone[0-9]+")
        return cls(
            chips=tuple(
                ranked(_labelled(chip)) for chip in chips if read_word(chip / "name") in CPU_CHIPS
            ),
            zones=tuple(
                zone / "temp"
                for zone in zones
                if (read_word(zone / "type") or "").startswith(CPU_ZONES)
            ),
        )

    def temperature_c(self) -> float | None:
        """The hottest of the sensors, or `None` where none tells what can be."""
        told = [celsius for ranks in self.chips for celsius in _first_told_c(ranks)]
        return max(told or _told_c(self.zones), default=None)


def ranked(labelled: Mapping[Path, str]) -> tuple[tuple[Path, ...], ...]:
    """The sensors of a chip: those of its highest temperature, the others, the last resort.

    Intel's package sensor is the highest of its cores'; AMD's Tctl may carry an offset for the
    fan, which Tdie does not, and is asked only where nothing else tells.

    Args:
        labelled: The chip's sensors with their labels.
    """
    for wanted, offset in (("Package id", ()), ("Tdie", ("Tctl",))):
        best = tuple(path for path, label in labelled.items() if label.startswith(wanted))
        if best:
            last = tuple(path for path, label in labelled.items() if label in offset)
            others = tuple(path for path in labelled if path not in (*best, *last))
            return best, others, last
    return (tuple(labelled),)


def throttle_counters(cpus: Sequence[Path]) -> tuple[tuple[Path, ...], ...]:
    """The counters of thermal throttle events: of each core and each package, all that repeat it.

    Hyper-threads repeat their core's count, and cores their package's. A CPU that does not tell its
    core is of the one that names it, or else taken for one; one that does not tell its package, for
    a part of those that do.

    Args:
        cpus: The folder of each CPU.
    """
    told = {cpu.name: read_cpus(cpu / "topology/thread_siblings_list") for cpu in cpus}
    named = {f"cpu{number}": siblings for siblings in told.values() for number in siblings}
    cores: dict[object, list[Path]] = {}
    packages: dict[int | None, list[Path]] = {}
    for cpu in cpus:
        counts, core = cpu / "thermal_throttle", named.get(cpu.name, cpu.name)
        package = read_int(cpu / "topology/physical_package_id")
        cores.setdefault(core, []).append(counts / "core_throttle_count")
        packages.setdefault(package, []).append(counts / "package_throttle_count")
    if len(packages) > 1:
        packages.pop(None, None)
    return tuple(tuple(paths) for paths in (*cores.values(), *packages.values()))


def throttle_count(counters: Iterable[Sequence[Path]]) -> int | None:
    """Thermal throttle events since boot, or `None` where nothing counts them.

    Args:
        counters: Files that repeat each other, by what they count.
    """
    told = [[count for count in read_ints(each) if count in _COUNTS] for each in counters]
    counts = [repeated[0] for repeated in told if repeated]
    return sum(counts) if counts else None


def _labelled(chip: Path) -> dict[Path, str]:
    """A chip's sensors with their labels, those among them that only have a label."""
    files = list_folder(chip, "temp[0-9]+_(input|label)")
    names = dict.fromkeys(file.name.partition("_")[0] for file in files)
    return {chip / f"{name}_input": read_word(chip / f"{name}_label") or "" for name in names}


def _first_told_c(ranks: Sequence[Sequence[Path]]) -> list[float]:
    return next((told for paths in ranks if (told := _told_c(paths))), [])


def _told_c(paths: Iterable[Path]) -> list[float]:
    celsius = (value / 1000 for value in read_ints(each for each in paths if not _is_faulty(each)))
    return [each for each in celsius if COLDEST_C <= each <= HOTTEST_C and abs(each) >= DEAD_C]


def _is_faulty(sensor: Path) -> bool:
    """Whether a chip says that what its sensor tells means nothing."""
    return read_int(sensor.with_name(sensor.name.replace("_input", "_fault"))) == 1
