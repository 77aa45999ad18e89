"""What a device lets be measured: each quantity with its source, method and resolution."""

import mmap
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from odllm_agent import meters
from odllm_agent.contract import DeviceState, HeldMemory, Method

ON_THE_MACHINE = "measure on the machine itself"
_UNITS = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


@dataclass(frozen=True, slots=True)
class Ability:
    """One quantity that a trial would have, or has not.

    Attributes:
        quantity: What it is.
        source: What tells it.
        method: How its figures are obtained.
        resolution: The smallest step that it can tell, where that is known.
        reason: Why it is not told, or `""`.
        remedy: How to allow it, or `""`.
    """

    quantity: str
    source: str
    method: Method
    resolution: str = ""
    reason: str = ""
    remedy: str = ""


def of_this_device(state: DeviceState, held: HeldMemory, virtual: bool) -> tuple[Ability, ...]:
    """Everything that a trial on this device would tell.

    Args:
        state: The device's.
        held: What the system tells of a process's memory.
        virtual: Whether a hypervisor runs the device.
    """
    step_s = time.get_clock_info("perf_counter").resolution
    told = in_units(step_s, "s")
    times = Ability("time of each token", "perf_counter", Method.MEASURED, told)
    return (times, *_of_memory(held), *_energies(), *of_state(state, virtual))


def of_state(state: DeviceState, virtual: bool, system: str = sys.platform) -> Iterator[Ability]:
    """What a device tells of its own state.

    Args:
        state: The state that was read.
        virtual: Whether a hypervisor runs the device.
        system: The system's name, by `sys.platform`.
    """
    for sensor in _sensors(state):
        if sensor.value is not None:
            yield Ability(sensor.quantity, sensor.source, Method.MEASURED)
        else:
            reason, remedy = _why_untold(sensor, virtual, system)
            yield _untold(sensor.quantity, sensor.source, reason, remedy)


@dataclass(frozen=True, slots=True)
class _Sensor:
    """What one sensor says now, and where a Linux has none, why and how to have it."""

    quantity: str
    source: str
    value: object
    reason: str = ""
    remedy: str = ""


def _sensors(state: DeviceState) -> tuple[_Sensor, ...]:
    unsteered = "the kernel does not steer the frequency", "let the firmware leave it to the system"
    no_driver = "no driver of the sensor is loaded", "sudo modprobe coretemp  # AMD: k10temp"
    no_preference = "this frequency driver knows none", "use intel_pstate or amd_pstate"
    no_battery = "there is no battery that tells it"
    return (
        _Sensor("temperature", "hwmon", state.temperature_c, *no_driver),
        _Sensor("frequency", "cpufreq", state.frequency_hz, *unsteered),
        _Sensor("governor", "cpufreq", state.governor, *unsteered),
        _Sensor("energy preference", "cpufreq", state.energy_preference, *no_preference),
        _Sensor("power profile", "acpi", state.power_profile, "this firmware has none"),
        _Sensor("throttling", "cpu", state.throttle_count, "only Intel's processors count it"),
        _Sensor("mains or battery", "power_supply", state.on_battery, no_battery),
        _Sensor("battery charge", "power_supply", state.battery_percent, no_battery),
        _Sensor("swapping", "vmstat", state.swapped_bytes, "the kernel does not count it"),
        _Sensor("load of others", "stat", state.busy_s),
    )


def _why_untold(sensor: _Sensor, virtual: bool, system: str) -> tuple[str, str]:
    if virtual:
        return "this virtual machine shows none", ON_THE_MACHINE
    if system != "linux":
        return f"psutil does not tell it on {system}", "use Linux"
    return sensor.reason, sensor.remedy


def _of_memory(held: HeldMemory) -> Iterator[Ability]:
    source = {"linux": "smaps"}.get(sys.platform, "psutil")
    page = f"{mmap.PAGESIZE // 1024} KiB"
    yield Ability("peak memory", source, Method.MEASURED, page)
    for quantity, value in (
        ("mapped model", held.mapped_bytes),
        ("anonymous memory", held.anonymous_bytes),
    ):
        if value is None:
            yield _untold(quantity, source, held.reason, "use Linux")
        else:
            yield Ability(quantity, source, Method.MEASURED, page)


def _energies() -> Iterator[Ability]:
    for report in meters.reports():
        step = in_units(report.step_j, "J") if report.step_j else ""
        period = f"every {in_units(report.period_s, 's')}" if report.period_s else ""
        resolution = " ".join(filter(None, (step, period)))
        for domain in report.domains:
            yield Ability(f"energy of {domain}", report.name, report.method, resolution)
        for missing in report.missing:
            quantity = f"energy of {missing.domain}"
            yield _untold(quantity, report.name, missing.reason, missing.remedy)


def in_units(value: float, unit: str) -> str:
    """A small figure with the prefix that suits it, such as `61 uJ`."""
    scale, prefix = next((pair for pair in _UNITS if value >= pair[0]), _UNITS[-1])
    return f"{value / scale:.3g} {prefix}{unit}"


def _untold(quantity: str, source: str, reason: str, remedy: str) -> Ability:
    return Ability(quantity, source, Method.UNAVAILABLE, reason=reason, remedy=remedy)
