"""What psutil tells of the device, on the systems that have no /proc.

Linux does without it: a worker starts sooner, and a state is read sooner.
"""

import sys
from time import process_time

import psutil

from odllm_agent.contract import DeviceState
from odllm_agent.host.control_groups import Quota


def read_state() -> DeviceState:
    """What could disturb a measurement, as it is now."""
    battery = psutil.sensors_battery()
    plugged = getattr(battery, "power_plugged", None)
    percent = getattr(battery, "percent", None)
    frequency = psutil.cpu_freq()
    swap = psutil.swap_memory()
    return DeviceState(
        on_battery=None if plugged is None else not plugged,
        governor=None,
        frequency_hz=frequency.current * 1e6 if frequency else None,
        temperature_c=None,
        throttle_count=None,
        available_bytes=available_bytes(),
        # On Windows psutil has no such counter and says 0.
        swapped_bytes=None if sys.platform == "win32" else swap.sin + swap.sout,
        busy_s=busy_s(),
        own_cpu_s=process_time(),
        # Windows says 255 where it does not know.
        battery_percent=percent if percent is not None and 0 <= percent <= 100 else None,
    )


def busy_s() -> float:
    """CPU seconds spent by everything on the device since boot."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def temperature_c() -> float | None:
    """Nothing: psutil knows the CPU's temperature on no system without /proc."""
    return None


def available_bytes() -> int:
    """Memory that can be had without swapping."""
    return int(psutil.virtual_memory().available)


def cpus() -> list[int]:
    """The numbers of the hardware threads that this process may use."""
    if sys.platform == "darwin":
        return list(range(psutil.cpu_count() or 1))
    return list(psutil.Process().cpu_affinity() or [])


def online_cpus() -> int | None:
    """How many hardware threads are switched on."""
    return psutil.cpu_count()


def present_cpus() -> int | None:
    """Nothing: psutil does not tell of hardware threads that are switched off."""
    return None


def quota() -> Quota | None:
    """Nothing: only Linux has control groups."""
    return None
