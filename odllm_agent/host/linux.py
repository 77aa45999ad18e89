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
from odllm_agent.files.small_files import list_folder, read_cpus, read_int, read_ints, read_word
from odllm_agent.host import heat
from odllm_agent.host.control_groups import (
    CpuGroup,
    GroupMembership,
    MemoryGroup,
    Quota,
    cpu_groups,
    memory_groups,
    throttle_count,
    tightest,
)
from odllm_agent.host.heat import Thermometers
from odllm_agent.host.power_supply import Supplies

# No processor has ever run at 10 GHz, and none that computes runs below 50 MHz: one that is off may
# tell 0, and a driver that counts in other units anything.
_FREQUENCIES_KHZ = range(50_000, 10_000_000)
# A processor that was never on has -1 or 65535 (Documentation/arch/x86/topology.rst).
_SOCKETS = range(2**15)
# By the kernel's scale the fastest core has 1024 (SCHED_CAPACITY_SCALE).
_CAPACITIES = range(1, 1025)


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
    folders = (root / f"sys/devices/system/cpu/cpu{cpu}/topology" for cpu in cpus)
    siblings = {frozenset(read_cpus(folder / "thread_siblings_list")) for folder in folders}
    return len(siblings - {frozenset()})


def sockets(root: Path = Path("/")) -> frozenset[int]:
    """The numbers of the processor sockets that have a CPU which is on, as far as they tell.

    Args:
        root: Where the system's files are.
    """
    cpus = [cpu for cpu in cpu_folders(root) if read_int(cpu / "online") != 0]
    told = read_ints(cpu / "topology/physical_package_id" for cpu in cpus)
    return frozenset(number for number in told if number in _SOCKETS)


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
    found = {
        name: read_cpus(root / f"sys/devices/{counter}/cpus") for name, counter in counters.items()
    }
    return found if all(found.values()) else _types_by_capacity(root)


def _types_by_capacity(root: Path) -> dict[str, tuple[int, ...]]:
    found = {
        int(cpu.name.removeprefix("cpu")): read_int(cpu / "cpu_capacity") or 0
        for cpu in cpu_folders(root)
    }
    told = {cpu: capacity for cpu, capacity in found.items() if capacity in _CAPACITIES}
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
        governor: The frequency governor of the first CPU that has one.
        frequencies: Each CPU's frequency in kHz.
        thermometers: The CPU's temperature.
        throttle_counters: Thermal throttle events of each core and each package.
        power_profile: What the firmware is set to save or spend.
        energy_preference: What the first CPU that has one is told to prefer.
        supplies: The device's own batteries, and its adapters.
    """

    governor: Path
    frequencies: tuple[Path, ...]
    thermometers: Thermometers
    throttle_counters: tuple[tuple[Path, ...], ...]
    power_profile: Path
    energy_preference: Path
    supplies: Supplies

    @classmethod
    def find(cls, root: Path = Path("/")) -> "Sensors":
        """The sensors of this device.

        Args:
            root: Where the system's files are.
        """
        # The first CPU may be off.
        cpus = cpu_folders(root) or [root / "sys/devices/system/cpu/cpu0"]
        return cls(
            governor=_first_told(cpus, "cpufreq/scaling_governor"),
            frequencies=tuple(cpu / "cpufreq/scaling_cur_freq" for cpu in cpus),
            thermometers=Thermometers.find(root / "sys/class"),
            throttle_counters=heat.throttle_counters(cpus),
            power_profile=root / "sys/firmware/acpi/platform_profile",
            energy_preference=_first_told(cpus, "cpufreq/energy_performance_preference"),
            supplies=Supplies.find(root),
        )

    def frequencies_hz(self) -> list[float]:
        """The frequencies of the CPUs that run."""
        # One that is off may tell what its policy or it itself once had.
        on = (path for path in self.frequencies if read_int(path.parents[1] / "online") != 0)
        return [1000.0 * khz for khz in read_ints(on) if khz in _FREQUENCIES_KHZ]

    def battery_percent(self) -> float | None:
        """How full the batteries are, each counting alike."""
        return self.supplies.percent()

    def temperature_c(self) -> float | None:
        """The hottest of the CPU's sensors."""
        return self.thermometers.temperature_c()

    def throttle_count(self) -> int | None:
        """Thermal throttle events of all cores and packages since boot."""
        return heat.throttle_count(self.throttle_counters)

    def on_battery(self) -> bool | None:
        """Whether a battery feeds the device; `None` where there is none, or none tells."""
        return self.supplies.on_battery()


def _first_told(cpus: Sequence[Path], name: str) -> Path:
    """The file of that name of the first CPU in which it tells something."""
    paths = [cpu / name for cpu in cpus]
    return next((path for path in paths if read_word(path)), paths[0])


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
    return len(read_cpus(cpus)) or None


def quota() -> Quota | None:
    """The processor time that this process may have; `None` where no control group limits it."""
    return tightest(_cpu_groups())


@functools.cache
def _sensors() -> Sensors:
    return Sensors.find()


@functools.cache
def _memory_groups() -> tuple[MemoryGroup, ...]:
    return memory_groups(GroupMembership.here())


@functools.cache
def _cpu_groups() -> tuple[CpuGroup, ...]:
    return cpu_groups(GroupMembership.here())


@functools.cache
def _ticks_per_s() -> int:
    return int(os.sysconf("SC_CLK_TCK"))  # type: ignore[attr-defined,unused-ignore]
