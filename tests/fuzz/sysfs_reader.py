"""What a person would read from a machine's files, written apart from the agent.

Each figure is what must be told, `None` where nothing can be, or `ANYTHING` where files contradict
each other or too few of them are left, so that a refusal is as good as what is true.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.fuzz.sysfs_tree import CPUS, HWMON, POWERCAP, SUPPLIES, THERMAL, Tree

ANYTHING = object()
RESTING = ("charging", "full", "not charging")
_OWN = re.compile(r"BAT.*|CMB.*|macsmc-battery")


def text(path: Path) -> str:
    """A file's text without what is around it; empty where there is none."""
    try:
        return path.read_bytes().decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def number(path: Path) -> int | None:
    """A file's whole number."""
    told = text(path)
    return int(told) if re.fullmatch(r"-?[0-9]+", told) else None


def entries(folder: Path, pattern: str) -> list[Path]:
    """What is in a folder under names of this pattern."""
    try:
        return [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)]
    except OSError:
        return []


class Reader:
    """Reads one machine's files.

    Args:
        tree: The machine.
    """

    def __init__(self, tree: Tree) -> None:
        self._root = tree.root
        self._true = tree.files

    def batteries(self) -> list[Path]:
        """The folders of the machine's own batteries, those that can be known as such."""
        found = []
        for folder in entries(self._root / SUPPLIES, _OWN.pattern):
            kind = text(folder / "type").lower()
            known = kind == "battery" or (folder.name != "macsmc-battery" and self._untyped(folder))
            if known and number(folder / "present") != 0 and self._tells(folder):
                found.append(folder)
        return found

    def _untyped(self, folder: Path) -> bool:
        return text(folder / "type").lower() not in ("battery", "ups") and bool(
            text(folder / "status")
        )

    def _tells(self, folder: Path) -> bool:
        named = folder.name != "macsmc-battery" or text(folder / "scope") == "System"
        return named or bool(entries(folder, "(energy|charge)_.*|(power|current)_now"))

    def _states(self) -> set[str]:
        states = {text(folder / "status").lower() for folder in self.batteries()}
        return {each if each in (*RESTING, "discharging") else "unknown" for each in states}

    def on_battery(self) -> object:
        """Whether a battery feeds the machine."""
        states = self._states()
        if "discharging" in states:
            return True
        if not states:
            return None
        if "charging" in states or "unknown" not in states:
            return False
        online = [online for online in self._online() if online is not None]
        return not any(online) if online else None

    def _online(self) -> Iterator[bool | None]:
        for folder in entries(self._root / SUPPLIES, "AC|ADP1|ucsi"):
            if text(folder / "type") in ("Mains", "USB"):
                told = number(folder / "online")
                yield told > 0 if told in (0, 1, 2) else None

    def percent(self) -> object:
        """How full the batteries are."""
        levels = [number(folder / "capacity") for folder in self.batteries()]
        if not levels:
            return None
        told = [level for level in levels if level is not None and 0 <= level <= 100]
        return sum(told) / len(told) if len(told) == len(levels) else ANYTHING

    def power_w(self) -> object:
        """What the batteries give, if each says what it does and those that give say how much."""
        total_w = 0.0
        for folder in self.batteries():
            status = text(folder / "status").lower()
            if status in RESTING:
                continue
            given_w = self._given_w(folder)
            if status != "discharging" or given_w is None:
                return ANYTHING
            total_w += given_w
        return total_w or None

    def true_power_w(self) -> float:
        """What those batteries give that can be known as such."""
        return sum(
            watts
            for folder in self.batteries()
            if self._was(folder / "status") == "Discharging"
            and (watts := self._true_w(folder)) is not None
        )

    def _was(self, path: Path) -> object:
        return self._true.get(str(path.relative_to(self._root)))

    def _true_w(self, folder: Path) -> float | None:
        power, current = self._was(folder / "power_now"), self._was(folder / "current_now")
        if isinstance(power, int):
            return abs(power) / 1e6
        volts = self._was(folder / "voltage_now")
        if isinstance(current, int) and isinstance(volts, int):
            return abs(current * volts) / 1e12
        return None

    def _given_w(self, folder: Path) -> float | None:
        """By files that were left as they were."""
        names = [name for name in ("power_now", "current_now") if self._was(folder / name)]
        needed = [*names, "voltage_now"] if names == ["current_now"] else names
        whole = names and all(number(folder / name) == self._was(folder / name) for name in needed)
        return self._true_w(folder) if whole else None

    def temperature_c(self) -> float | None:
        """The hottest of the processor's sensors."""
        told = []
        for chip in entries(self._root / HWMON, "hwmon[0-9]+"):
            if text(chip / "name") in ("coretemp", "k10temp"):
                inputs = entries(chip, "temp[0-9]+_(input|label)")
                names = {path.name.split("_")[0] for path in inputs}
                best = [n for n in names if text(chip / f"{n}_label").startswith(("Package", "Td"))]
                paths = [chip / f"{name}_input" for name in best or names]
                rest = [chip / f"{name}_input" for name in names if name not in best]
                told += _degrees(paths) or _degrees(rest)
        zones = [
            zone / "temp"
            for zone in entries(self._root / THERMAL, "thermal_zone[0-9]+")
            if text(zone / "type").startswith(("x86_pkg_temp", "cpu"))
        ]
        return max(told or _degrees(zones), default=None)

    def frequencies_hz(self) -> list[float]:
        """The frequencies of the processors that tell one, in no order."""
        running = [cpu for cpu in self._cpus() if number(cpu / "online") != 0]
        told = [number(cpu / "cpufreq/scaling_cur_freq") for cpu in running]
        return sorted(khz * 1000.0 for khz in told if khz is not None and 50_000 <= khz < 10**7)

    def throttle_count(self) -> object:
        """The events of all cores and packages, if each processor tells which those are."""
        cores: dict[str, list[int]] = {}
        packages: dict[int, list[int]] = {}
        for cpu in self._cpus():
            if not (cpu / "thermal_throttle").is_dir():
                continue
            core = text(cpu / "topology/thread_siblings_list")
            package = number(cpu / "topology/physical_package_id")
            if package is None or not re.fullmatch("[0-9]+(-[0-9]+)?", core) or len(core) > 9:
                return ANYTHING
            throttled = cpu / "thermal_throttle"
            cores.setdefault(core, []).extend(_events(throttled / "core_throttle_count"))
            packages.setdefault(package, []).extend(_events(throttled / "package_throttle_count"))
        found = [told[0] for told in (*cores.values(), *packages.values()) if told]
        return sum(found) if found else None

    def _cpus(self) -> list[Path]:
        return entries(self._root / CPUS, "cpu[0-9]+")

    def zones(self) -> dict[str, list[Path]]:
        """The energy counters of each domain that must be told."""
        told = {
            path: text(path / "name")
            for path in entries(self._root / POWERCAP, "intel-rapl:[0-9]+")
        }
        packages = {path for path, name in told.items() if re.fullmatch("package-[0-9]", name)}
        platform = [path for path, name in told.items() if name == "psys"]
        found = {"psys": platform} if platform else {}
        if packages and not self._may_be_more(packages, told):
            found["package"] = sorted(packages)
            for domain in ("core", "uncore", "dram"):
                parts = [
                    part
                    for path in packages
                    for part in entries(path, "intel-rapl:[0-9]+:[0-9]+")
                    if text(part / "name") == domain
                ]
                if len(parts) == len(packages):
                    found[domain] = parts
        return {
            domain: [path / "energy_uj" for path in paths]
            for domain, paths in found.items()
            if all(self.counted(path / "energy_uj", 2**32 * 10**6) for path in paths)
        }

    def _may_be_more(self, packages: Iterable[Path], told: dict[Path, str]) -> bool:
        online = [cpu for cpu in self._cpus() if number(cpu / "online") != 0]
        ids = {number(cpu / "topology/physical_package_id") for cpu in online}
        sockets = {each for each in ids if each is not None and 0 <= each < 2**15}
        nameless = any(not name for name in told.values())
        return len(sockets) > len(list(packages)) or (nameless and not sockets)

    def counted(self, path: Path, most: int) -> bool:
        """Whether a counter's file tells what one can."""
        told = number(path)
        return told is not None and 0 <= told <= most

    def chips(self) -> list[Path]:
        """The folders of the graphics chips that must be told."""
        files = {
            "i915": ("energy1_input", 2**64 - 1),
            "xe": ("energy1_input", 2**64 - 1),
            "amdgpu": ("power1_average", 1400 * 10**6),
        }
        chips = entries(self._root / HWMON, "hwmon[0-9]+")
        known = {chip: files[text(chip / "name")] for chip in chips if text(chip / "name") in files}
        return [chip for chip, (file, most) in known.items() if self.counted(chip / file, most)]


def _events(path: Path) -> list[int]:
    told = number(path)
    return [told] if told is not None and 0 <= told < 2**32 else []


def _degrees(paths: Iterable[Path]) -> list[float]:
    told = [number(path) for path in paths]
    sound = [each for each in told if each is not None and -40_000 <= each <= 125_000]
    return [each / 1000 for each in sound if abs(each) >= 4000]
