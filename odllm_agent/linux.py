"""What Linux tells of the device through /proc and /sys: pure parsers, and what they read.

Formats: the kernel's Documentation/filesystems/proc.rst and ABI/testing/sysfs-*.
"""

import functools
import mmap
import os
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from odllm_agent.contract import DeviceState
from odllm_agent.control_groups import (
    CpuGroup,
    Membership,
    MemoryGroup,
    Quota,
    cpu_groups,
    memory_groups,
    throttle_count,
    tightest,
)
from odllm_agent.power_supply import Supplies
from odllm_agent.small_files import list_folder, read_int, read_ints, read_text, read_word

# Drivers of CPU temperature sensors: Intel, AMD, AMD out of tree, ARM boards.
CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
CPU_ZONES = ("x86_pkg_temp", "cpu")


def busy_ticks(stat: str) -> int:
    """Ticks since boot in which some CPU was not idle, from /proc/stat.

    Stolen ticks count, for the host did run something then; guests' ticks are in `user` already.
    """
    user, nice, system, _idle, _iowait, *rest = map(int, stat.split("\n", 1)[0].split()[1:])
    return user + nice + system + sum(rest[:3])


def swapped_pages(vmstat: str) -> int:
    """Pages swapped in and out since boot, from /proc/vmstat."""
    return sum(int(pages) for pages in re.findall(r"^pswp(?:in|out) (\d+)$", vmstat, re.M))


def mem_available_bytes(meminfo: str) -> int:
    """Memory that can be had without swapping, from /proc/meminfo (Linux 3.14 and later)."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.M)
    if found is None:
        raise LookupError("/proc/meminfo has no MemAvailable")
    return int(found[1]) * 1024


def cpu_name(cpuinfo: str) -> str | None:
    """The processor's name, from /proc/cpuinfo."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.M)
    return found[1].strip() if found else _arm_name(cpuinfo)


def _arm_name(cpuinfo: str) -> str | None:
    """Who made an Arm processor and which it is, by their numbers: the kernel knows no names."""
    pattern = r"^CPU implementer\s*:\s*(\w+)$.*?^CPU part\s*:\s*(\w+)$"
    # Cores of several kinds are of several parts.
    kinds = dict.fromkeys(re.findall(pattern, cpuinfo, re.M | re.S))
    told = " and ".join(f"implementer {maker} part {part}" for maker, part in kinds)
    return f"Arm {told}" if told else None


def is_virtual(cpuinfo: str) -> bool:
    """Whether an x86 processor says in /proc/cpuinfo that a hypervisor runs it."""
    return re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.M) is not None


def physical_cores(cpus: Iterable[int], root: Path = Path("/")) -> int:
    """How many cores these logical CPUs are, or 0 where the system does not tell.

    A CPU that is switched off has a folder without `topology`, and counts for nothing.

    Args:
        cpus: Numbers of logical CPUs.
        root: Where the system's files are.
    """
    siblings = {
        read_text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        for cpu in cpus
    }
    return len(siblings - {None})


def sockets(root: Path = Path("/")) -> frozenset[int]:
    """The numbers of the processor sockets that have a CPU which is on, as far as they tell.

    Args:
        root: Where the system's files are.
    """
    cpus = [cpu for cpu in cpu_folders(root) if read_int(cpu / "online") != 0]
    told = read_ints(cpu / "topology/physical_package_id" for cpu in cpus)
    return frozenset(number for number in told if number >= 0)


def cpu_folders(root: Path = Path("/")) -> list[Path]:
    """The folder of each CPU, in the order of their numbers.

    Args:
        root: Where the system's files are.
    """
    return list_folder(root / "sys/devices/system/cpu", "cpu[0-9]+")


def core_types(root: Path = Path("/")) -> dict[str, tuple[int, ...]]:
    """The CPUs of each type of core; nothing where all are alike.

    Intel's hybrid processors have a performance counter for each type. Others, Arm's among them,
    tell how much each core can do (Documentation/ABI/testing/sysfs-devices-system-cpu); of three
    types the two faster ones are `performance`.

    Args:
        root: Where the system's files are.
    """
    counters = {"performance": "cpu_core", "efficiency": "cpu_atom"}
    texts = {
        name: read_word(root / f"sys/devices/{counter}/cpus") for name, counter in counters.items()
    }
    if all(texts.values()):
        return {name: cpu_list(text or "") for name, text in texts.items()}
    return _types_by_capacity(root / "sys/devices/system/cpu")


def cpu_list(text: str) -> tuple[int, ...]:
    """The numbers in a list of CPUs as the kernel writes it, such as `0-3,8`."""
    ranges = (part.split("-") for part in text.strip().split(",") if part)
    return tuple(cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1))


def _types_by_capacity(cpus: Path) -> dict[str, tuple[int, ...]]:
    found = {
        int(path.parent.name.removeprefix("cpu")): read_int(path)
        for path in cpus.glob("cpu[0-9]*/cpu_capacity")
    }
    told = {cpu: capacity for cpu, capacity in sorted(found.items()) if capacity is not None}
    if len(set(told.values())) < 2:
        return {}
    least = min(told.values())
    return {
        "performance": tuple(cpu for cpu, capacity in told.items() if capacity > least),
        "efficiency": tuple(cpu for cpu, capacity in told.items() if capacity == least),
    }


@dataclass(frozen=True, slots=True)
class Sensors:
    """The files that tell the state of a device, found once because looking costs more.

    Attributes:
        governor: The first CPU's frequency governor.
        frequencies: Each CPU's frequency in kHz.
        temperatures: CPU temperatures in thousandths of a degree Celsius.
        throttle_counts: Thermal throttle events, each core and each package once.
        power_profile: What the firmware is set to save or spend.
        energy_preference: What the first CPU is told to prefer.
        supplies: The device's own batteries, and its adapters.
    """

    governor: Path
    frequencies: tuple[Path, ...]
    temperatures: tuple[Path, ...]
    throttle_counts: tuple[Path, ...]
    power_profile: Path
    energy_preference: Path
    supplies: Supplies

    @classmethod
    def find(cls, root: Path = Path("/")) -> "Sensors":
        """The sensors of this device.

        Args:
            root: Where the system's files are.
        """
        cpus = root / "sys/devices/system/cpu"
        return cls(
            governor=cpus / "cpu0/cpufreq/scaling_governor",
            frequencies=tuple(sorted(cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))),
            temperatures=_cpu_temperatures(root / "sys/class"),
            throttle_counts=_throttle_counts(cpus),
            power_profile=root / "sys/firmware/acpi/platform_profile",
            energy_preference=cpus / "cpu0/cpufreq/energy_performance_preference",
            supplies=Supplies.find(root),
        )

    def frequencies_hz(self) -> list[float]:
        """The frequencies of the CPUs."""
        return [1000.0 * khz for khz in read_ints(self.frequencies)]

    def battery_percent(self) -> float | None:
        """How full the batteries are, each counting alike."""
        return self.supplies.percent()

    def temperature_c(self) -> float | None:
        """The hottest of the CPU's sensors."""
        return max((value / 1000 for value in read_ints(self.temperatures)), default=None)

    def throttle_count(self) -> int | None:
        """Thermal throttle events of all cores and packages since boot."""
        counts = read_ints(self.throttle_counts)
        return sum(counts) if counts else None

    def on_battery(self) -> bool | None:
        """Whether a battery feeds the device; `None` where there is none, or none tells."""
        return self.supplies.on_battery()


def _cpu_temperatures(classes: Path) -> tuple[Path, ...]:
    chips = [
        chip
        for chip in sorted(classes.glob("hwmon/hwmon*"))
        if read_word(chip / "name") in CPU_CHIPS
    ]
    inputs = [path for chip in chips for path in hottest_inputs(_labelled_inputs(chip))]
    zones = [
        zone / "temp"
        for zone in sorted(classes.glob("thermal/thermal_zone*"))
        if (read_text(zone / "type") or "").startswith(CPU_ZONES)
    ]
    return tuple(inputs or zones)


def _labelled_inputs(chip: Path) -> list[tuple[str, Path]]:
    inputs = sorted(chip.glob("temp*_input"))
    labels = [path.with_name(path.name.replace("_input", "_label")) for path in inputs]
    texts = [(read_text(label) or "").strip() for label in labels]
    return list(zip(texts, inputs, strict=True))


def hottest_inputs(labelled: Sequence[tuple[str, Path]]) -> list[Path]:
    """Of a chip's sensors those that hold its highest temperature.

    Intel's package sensor is the highest of its cores'; AMD's Tctl may carry an offset for the
    fan, which Tdie does not (Documentation/hwmon/coretemp.rst, k10temp.rst).
    """
    for wanted in ("Package id", "Tdie"):
        found = [path for label, path in labelled if label.startswith(wanted)]
        if found:
            return found
    return [path for _, path in labelled]


def _throttle_counts(cpus: Path) -> tuple[Path, ...]:
    # Hyper-threads repeat their core's count, and cores their package's.
    cores: dict[str | None, Path] = {}
    packages: dict[str | None, Path] = {}
    for cpu in sorted(cpus.glob("cpu[0-9]*/thermal_throttle")):
        topology = cpu.parent / "topology"
        cores.setdefault(read_text(topology / "thread_siblings_list"), cpu)
        packages.setdefault(read_text(topology / "physical_package_id"), cpu)
    return (
        *(cpu / "core_throttle_count" for cpu in cores.values()),
        *(cpu / "package_throttle_count" for cpu in packages.values()),
    )


def read_state() -> DeviceState:
    """What could disturb a measurement, as it is now."""
    sensors = _sensors()
    frequencies_hz = sensors.frequencies_hz()
    return DeviceState(
        on_battery=sensors.on_battery(),
        governor=read_word(sensors.governor),
        frequency_hz=statistics.fmean(frequencies_hz) if frequencies_hz else None,
        temperature_c=sensors.temperature_c(),
        throttle_count=sensors.throttle_count(),
        available_bytes=available_bytes(),
        swapped_bytes=swapped_pages(Path("/proc/vmstat").read_text()) * mmap.PAGESIZE,
        busy_s=busy_s(),
        own_cpu_s=process_time(),
        power_profile=read_word(sensors.power_profile),
        energy_preference=read_word(sensors.energy_preference),
        battery_percent=sensors.battery_percent(),
        top_frequency_hz=max(frequencies_hz, default=None),
        quota_throttle_count=throttle_count(_cpu_groups()),
    )


def busy_s() -> float:
    """CPU seconds spent by everything on the device since boot."""
    return busy_ticks(Path("/proc/stat").read_text()) / _ticks_per_s()


def temperature_c() -> float | None:
    """The hottest of the CPU's sensors, where there is one."""
    return _sensors().temperature_c()


def available_bytes() -> int:
    """Memory that can be had without swapping, within a container's limit where there is one."""
    limits = [group.available_bytes() for group in _memory_groups()]
    system = mem_available_bytes(Path("/proc/meminfo").read_text())
    return min([system, *(limit for limit in limits if limit is not None)])


def cpus() -> list[int]:
    """The numbers of the hardware threads that this process may use."""
    return sorted(os.sched_getaffinity(0))  # type: ignore[attr-defined,unused-ignore]


def online_cpus(root: Path = Path("/")) -> int | None:
    """How many hardware threads are switched on."""
    return _count(root / "sys/devices/system/cpu/online")


def present_cpus(root: Path = Path("/")) -> int | None:
    """How many hardware threads there are, those among them that are switched off."""
    return _count(root / "sys/devices/system/cpu/present")


def _count(cpus: Path) -> int | None:
    return len(cpu_list(read_text(cpus) or "")) or None


def quota() -> Quota | None:
    """The processor time that this process may have; `None` where no control group limits it."""
    return tightest(_cpu_groups())


@functools.cache
def _sensors() -> Sensors:
    return Sensors.find()


@functools.cache
def _memory_groups() -> tuple[MemoryGroup, ...]:
    return memory_groups(Membership.here())


@functools.cache
def _cpu_groups() -> tuple[CpuGroup, ...]:
    return cpu_groups(Membership.here())


@functools.cache
def _ticks_per_s() -> int:
    return int(os.sysconf("SC_CLK_TCK"))  # type: ignore[attr-defined,unused-ignore]
