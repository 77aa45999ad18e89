"""What state this device is in, and what disturbed a measurement on it."""

import functools
import mmap
import os
import sys
from pathlib import Path
from time import process_time

import psutil

from odllm_agent import linux
from odllm_agent.contract import DeviceState

# Close below where laptop processors begin to throttle by themselves: AMD's Tjmax is 95 or 100 C
# for Ryzen mobile and desktop parts, Intel's Tjunction 100 to 110 C (both by their data sheets).
HOT_C = 95.0

# Others may take a tenth of the device, and never more than half a core: every thread of an engine
# waits for the slowest at each layer, so what one core loses the whole run loses. An idle Ray with
# one actor takes 0.04 of a core (measured without its dashboard), well below on two cores already.
BUSY_SHARE = 0.1
BUSY_CORES = 0.5

# The system counts busy time in ticks of 10 ms (Linux, macOS) or 15.6 ms (Windows), so each CPU's
# figure may be off by one, and their sum was rounded once more.
TICK_S = 0.016


def logical_cores() -> int:
    """Hardware threads that this process may use."""
    return len(cpus())


def read_state() -> DeviceState:
    """What could disturb a measurement, as it is now."""
    return _read_linux() if sys.platform == "linux" else _read_by_psutil()


def flags(
    before: DeviceState, after: DeviceState, wall_s: float, logical_cores: int
) -> tuple[str, ...]:
    """What disturbed a measurement: of `busy`, `hot`, `on_battery`, `swapped` and `throttled`.

    Args:
        before: The device's state when it began.
        after: The device's state when it ended.
        wall_s: The seconds from the one to the other.
        logical_cores: The device's hardware threads.
    """
    found = {
        "busy": _others_s(before, after) > _allowed_s(wall_s, logical_cores),
        "hot": any(
            state.temperature_c is not None and state.temperature_c >= HOT_C
            for state in (before, after)
        ),
        "on_battery": bool(before.on_battery or after.on_battery),
        "swapped": _rose(before.swapped_bytes, after.swapped_bytes),
        "throttled": _rose(before.throttle_count, after.throttle_count),
    }
    return tuple(name for name, holds in found.items() if holds)


def available_bytes() -> int:
    """Memory that can be had without swapping, within a container's limit where there is one."""
    available: int = psutil.virtual_memory().available
    limits = [group.available_bytes() for group in _memory_groups()]
    return min([available, *(limit for limit in limits if limit is not None)])


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def _others_s(before: DeviceState, after: DeviceState) -> float:
    return (after.busy_s - before.busy_s) - (after.own_cpu_s - before.own_cpu_s)


def _allowed_s(wall_s: float, logical_cores: int) -> float:
    return wall_s * min(BUSY_SHARE * logical_cores, BUSY_CORES) + TICK_S * (logical_cores + 1)


def _read_linux() -> DeviceState:
    sensors = _sensors()
    governor = linux.read_text(sensors.governor) if sensors.governor else None
    return DeviceState(
        on_battery=sensors.on_battery(),
        governor=governor.strip() if governor else None,
        frequency_hz=sensors.frequency_hz(),
        temperature_c=sensors.temperature_c(),
        throttle_count=sensors.throttle_count(),
        available_bytes=available_bytes(),
        swapped_bytes=linux.swapped_pages(Path("/proc/vmstat").read_text()) * mmap.PAGESIZE,
        busy_s=linux.busy_ticks(Path("/proc/stat").read_text()) / _ticks_per_s(),
        own_cpu_s=process_time(),
    )


def _read_by_psutil() -> DeviceState:
    plugged = getattr(psutil.sensors_battery(), "power_plugged", None)
    frequency = psutil.cpu_freq()
    swap = psutil.swap_memory()
    times = psutil.cpu_times()
    return DeviceState(
        on_battery=None if plugged is None else not plugged,
        governor=None,
        frequency_hz=frequency.current * 1e6 if frequency else None,
        temperature_c=None,
        throttle_count=None,
        available_bytes=available_bytes(),
        # On Windows psutil has no such counter and says 0.
        swapped_bytes=None if sys.platform == "win32" else swap.sin + swap.sout,
        busy_s=times.user + times.system + getattr(times, "nice", 0.0),
        own_cpu_s=process_time(),
    )


@functools.cache
def _sensors() -> linux.Sensors:
    return linux.Sensors.find()


@functools.cache
def _memory_groups() -> tuple[linux.MemoryGroup, ...]:
    return linux.memory_groups(linux.read_text(Path("/proc/self/cgroup")) or "")


@functools.cache
def _ticks_per_s() -> int:
    if sys.platform == "linux":
        return os.sysconf("SC_CLK_TCK")
    return 100


def cpus() -> list[int]:
    """The numbers of the hardware threads that this process may use."""
    if sys.platform == "darwin":
        return list(range(psutil.cpu_count() or 1))
    return list(psutil.Process().cpu_affinity() or [])
