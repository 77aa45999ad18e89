"""The files by which Linux tells of its sensors, made from a grammar and spoilt here and there.

A machine is drawn as a whole, so that what its files say before they are spoilt is true: it is
plugged in or it is not, and hyper-threads repeat their core.
"""

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Files = dict[str, object]

SUPPLIES = "sys/class/power_supply"
POWERCAP = "sys/class/powercap/intel-rapl"
HWMON = "sys/class/hwmon"
THERMAL = "sys/class/thermal"
CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class Tree:
    """A machine's files.

    Attributes:
        root: Where they are.
        files: What each held before any was spoilt.
        spoilt: What was done to which of them, or to which folder.
    """

    root: Path
    files: Mapping[str, object]
    spoilt: Mapping[str, str]


def grow(root: Path, chance: random.Random) -> Tree:
    """Writes a machine's files, and spoils some.

    Args:
        root: Where they are to be; the folder is made.
        chance: What decides.
    """
    parts = (_supplies, _zones, _chips, _thermal_zones, _cpus)
    files = {path: value for part in parts for path, value in part(chance)}
    for path, value in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{value}\n")
    folders = {str(Path(path).parent) for path in files}
    spoilt = {}
    for path in sorted(files):
        if chance.random() < chance.choice((0.0, 0.02, 0.1)):
            spoilt[path] = _spoil(root / path, chance, WAYS)
    for folder in sorted(folders):
        if (root / folder).is_dir() and chance.random() < 0.01:
            spoilt[folder] = _spoil(root / folder, chance, _OF_FOLDERS)
    return Tree(root, files, spoilt)


def _supplies(chance: random.Random) -> Iterator[tuple[str, object]]:
    plugged_in = chance.random() < 0.4
    for name, files in (*_batteries(plugged_in, chance), *_beside(plugged_in, chance)):
        for file, value in files.items():
            yield f"{SUPPLIES}/{name}/{file}", value


def _batteries(plugged_in: bool, chance: random.Random) -> Iterator[tuple[str, Files]]:
    names = ("BAT0", "BAT1", "BAT 0", "CMB0", "macsmc-battery")
    resting = ("Full", "Not charging")
    for place, name in enumerate(chance.sample(names, chance.choice((0, 1, 1, 2)))):
        flowing = "Charging" if plugged_in else "Discharging"
        # Unplugged, one feeds the machine.
        rests = (plugged_in or place > 0) and chance.random() < 0.6
        yield name, _battery(chance.choice(resting) if rests else flowing, chance)


def _beside(plugged_in: bool, chance: random.Random) -> Iterator[tuple[str, Files]]:
    """Adapters, and what is no battery of the machine."""
    adapters = (("AC", "Mains"), ("ADP1", "Mains"), ("ucsi", "USB"))
    for name, kind in chance.sample(adapters, chance.randint(0, 2)):
        yield name, {"type": kind, "online": int(plugged_in)}
    mouse = {"type": "Battery", "scope": "Device", "status": "Discharging", "capacity": 7}
    slot = {"type": "Battery", "present": 0, "status": "Unknown"}
    ups = {"type": "UPS", "status": "Discharging", "capacity": 90, "power_now": 80_000_000}
    others: dict[str, Files] = {"hidpp_battery_0": mouse, "BAT9": slot, "ups": ups}
    yield from ((name, files) for name, files in others.items() if chance.random() < 0.2)


def _battery(status: str, chance: random.Random) -> Files:
    size_uwh, level = chance.randint(15, 99) * 1_000_000, chance.randint(10, 99)
    volts_uv, sign = chance.randint(7, 17) * 1_000_000, chance.choice((1, -1))
    power_uw = (
        sign * chance.randint(3, 40) * 1_000_000 if status in ("Discharging", "Charging") else 0
    )
    files: Files = {
        "type": "Battery",
        "status": status,
        "present": 1,
        "capacity": level,
        "voltage_now": volts_uv,
        "voltage_min_design": volts_uv,
        "energy_full_design": size_uwh,
        "energy_full": size_uwh,
        "energy_now": size_uwh * level // 100,
    }
    match chance.randrange(4):
        case 0:
            files["current_now"] = power_uw * 1_000_000 // volts_uv
        case 1:
            pass
        case _:
            files["power_now"] = power_uw
    if chance.random() < 0.2:
        files["scope"] = "System"
    return files


def _zones(chance: random.Random) -> Iterator[tuple[str, object]]:
    packages = chance.choice((0, 1, 1, 2, 4))
    inner = chance.choice(((), ("core",), ("core", "dram"), ("core", "uncore", "dram")))
    numbers = list(range(packages))
    chance.shuffle(numbers)
    for place, number in enumerate(numbers):
        yield from _zone(f"intel-rapl:{place}", f"package-{number}", chance)
        for part, name in enumerate(inner):
            yield from _zone(f"intel-rapl:{place}/intel-rapl:{place}:{part}", name, chance)
    if chance.random() < 0.5:
        yield from _zone(f"intel-rapl:{packages}", "psys", chance)
    if chance.random() < 0.3:
        mmio = f"{Path(POWERCAP).parent}/intel-rapl-mmio/intel-rapl-mmio:0"
        yield f"{mmio}/name", "package-0"
        yield f"{mmio}/energy_uj", 1
        yield f"{mmio}/max_energy_range_uj", 262_143_328_850


def _zone(folder: str, name: str, chance: random.Random) -> Iterator[tuple[str, object]]:
    yield f"{POWERCAP}/{folder}/name", name
    yield f"{POWERCAP}/{folder}/energy_uj", chance.randint(1, 10**10)
    yield f"{POWERCAP}/{folder}/max_energy_range_uj", 262_143_328_850


def _chips(chance: random.Random) -> Iterator[tuple[str, object]]:
    kinds = ("coretemp", "k10temp", "nvme", "i915", "xe", "amdgpu")
    for number in range(chance.randint(0, 5)):
        folder, kind = f"{HWMON}/hwmon{number}", chance.choice(kinds)
        yield f"{folder}/name", kind
        match kind:
            case "i915" | "xe":
                yield f"{folder}/energy1_input", chance.randint(1, 10**12)
            case "amdgpu":
                yield f"{folder}/power1_average", chance.randint(5, 300) * 1_000_000
            case _:
                yield from _temperatures(folder, kind, chance)


def _temperatures(folder: str, kind: str, chance: random.Random) -> Iterator[tuple[str, object]]:
    cores = [chance.randint(30, 90) * 1000 for _ in range(chance.randint(1, 12))]
    first = {"coretemp": "Package id 0", "k10temp": "Tdie"}.get(kind, "Composite")
    yield f"{folder}/temp1_label", first
    yield f"{folder}/temp1_input", max(cores)
    for number, millidegrees in enumerate(cores, start=2):
        yield f"{folder}/temp{number}_label", f"Core {number - 2}"
        yield f"{folder}/temp{number}_input", millidegrees


def _thermal_zones(chance: random.Random) -> Iterator[tuple[str, object]]:
    for number in range(chance.randint(0, 3)):
        folder = f"{THERMAL}/thermal_zone{number}"
        yield f"{folder}/type", chance.choice(("acpitz", "x86_pkg_temp", "cpu-thermal"))
        yield f"{folder}/temp", chance.randint(30, 90) * 1000


def _cpus(chance: random.Random) -> Iterator[tuple[str, object]]:
    cores, threads, packages = chance.randint(1, 6), chance.choice((1, 2)), chance.choice((1, 1, 2))
    total = cores * threads * packages
    off = chance.randrange(total) if total > 1 and chance.random() < 0.3 else None
    listed = f"0-{total - 1}" if total > 1 else "0"
    yield f"{CPUS}/present", listed
    yield f"{CPUS}/online", listed
    for cpu in range(total):
        folder, core = f"{CPUS}/cpu{cpu}", cpu // threads
        yield f"{folder}/online", int(cpu != off)
        if cpu == off:
            continue
        first = core * threads
        siblings = f"{first}-{first + threads - 1}" if threads > 1 else f"{first}"
        yield f"{folder}/topology/thread_siblings_list", siblings
        yield f"{folder}/topology/physical_package_id", core // cores
        yield f"{folder}/cpufreq/scaling_cur_freq", chance.randint(400, 5000) * 1000
        yield f"{folder}/cpufreq/scaling_governor", "powersave"
        yield f"{folder}/thermal_throttle/core_throttle_count", core + 1
        yield f"{folder}/thermal_throttle/package_throttle_count", 100 * (1 + core // cores)
        yield f"{folder}/cpu_capacity", 1024 if core % 2 else 512


def _spoil(
    path: Path, chance: random.Random, ways: Mapping[str, Callable[[Path, random.Random], None]]
) -> str:
    name = chance.choice(sorted(ways))
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    ways[name](path, chance)
    return name


def _missing(path: Path, chance: random.Random) -> None:
    """Nothing is put in its place."""


def _empty(path: Path, chance: random.Random) -> None:
    path.write_text(chance.choice(("", "\n", "  \n")))


def _unreadable(path: Path, chance: random.Random) -> None:
    # An error of input, even for root.
    path.symlink_to("/proc/self/mem")


def _binary(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"\xff" + chance.randbytes(chance.choice((1, 7, 4000))))


def _negative(path: Path, chance: random.Random) -> None:
    path.write_text(f"{-chance.choice((1, 2**31, 2**63))}\n")


def _huge(path: Path, chance: random.Random) -> None:
    path.write_text(f"{chance.choice((2**53, 2**63 - 1, 2**64, 10**40))}\n")


def _words(path: Path, chance: random.Random) -> None:
    path.write_text(chance.choice(("<unknown>\n", "nan\n", "0x10\n", "No such device\n", "1.5\n")))


def _loop(path: Path, chance: random.Random) -> None:
    path.symlink_to(path.name)


def _folder(path: Path, chance: random.Random) -> None:
    path.mkdir()


def _file(path: Path, chance: random.Random) -> None:
    path.write_text("1\n")


WAYS = {
    "missing": _missing,
    "empty": _empty,
    "unreadable": _unreadable,
    "binary": _binary,
    "negative": _negative,
    "huge": _huge,
    "words": _words,
    "loop": _loop,
    "folder": _folder,
}
_OF_FOLDERS = {"missing": _missing, "loop": _loop, "folder": _folder, "file": _file}
