"""What the battery gives, which is what the whole device draws while it is unplugged.

Source: Linux, Documentation/ABI/testing/sysfs-class-power. psutil tells a battery's percentage and
not its power, so other systems have no such meter.
"""

from dataclasses import dataclass
from pathlib import Path

from odllm_agent import linux
from odllm_agent.meters.base import Limits, Meter, Unavailable
from odllm_agent.meters.counter import Bounds, Counter
from odllm_agent.meters.integral import Integral
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import INTEGRATED, Sensor, open_sensors
from odllm_agent.small_files import read_int, read_word

ROOT = Path("/")
MICRO = 1_000_000
S_PER_H = 3600

# The kernel asks the firmware at most once a second (drivers/acpi/battery.c, cache_time); that the
# firmware measures half as often is assumed.
PERIOD_S = 2.0

# What a battery says that it holds moves by 10 mWh (ACPI, _BIX) or less: ten steps of a laptop that
# draws 6 W.
HELD_STEP_J = 0.01 * S_PER_H
HELD_SHORTEST_S = 60.0

# USB power delivery ends at 240 W; no laptop draws more for long.
MOST_W = 300.0

DOMAIN = "battery"
INTEGRATED_LIMITS = Limits.of_period(PERIOD_S, MOST_W, 1 / MICRO)
HELD = "what the battery holds"
HELD_LIMITS = Limits(HELD_SHORTEST_S, float("inf"), MOST_W, HELD_STEP_J, PERIOD_S)
PLUGGED_IN = "the mains is plugged in, so the battery does not feed the device"


@dataclass(frozen=True, slots=True)
class Batteries:
    """The batteries that feed a device, as directories of the kernel's.

    Attributes:
        supplies: Its batteries and mains adapters.
    """

    supplies: linux.Sensors

    @property
    def directories(self) -> list[Path]:
        """One per battery."""
        return [status.parent for status in self.supplies.battery_status]

    @property
    def tell_power(self) -> bool:
        """Whether each tells its power, or current and voltage."""
        return all(discharge_w(battery) is not None for battery in self.directories)

    def power_w(self) -> float:
        """What all of them give.

        Raises:
            LookupError: They do not feed the device, or one does not tell.
        """
        return sum(_told(discharge_w(battery)) for battery in self._feeding())

    def given_j(self) -> float:
        """What all of them gave, less what they once held.

        Raises:
            LookupError: They do not feed the device, or one does not tell.
        """
        return -sum(_told(held_j(battery)) for battery in self._feeding())

    def _feeding(self) -> list[Path]:
        states = [read_word(path) or "" for path in self.supplies.battery_status]
        if not self.supplies.on_battery():
            raise LookupError(PLUGGED_IN)
        if "Discharging" not in states:
            raise LookupError(f"no battery discharges: {', '.join(states)}")
        return self.directories


def discharge_w(battery: Path) -> float | None:
    """What a battery gives, or `None` where it does not tell.

    The sign tells charging from discharging on some drivers only, and its status does on all.
    """
    power_uw = read_int(battery / "power_now")
    if power_uw is not None:
        return abs(power_uw) / MICRO
    current_ua = read_int(battery / "current_now")
    voltage_uv = read_int(battery / "voltage_now")
    if current_ua is None or voltage_uv is None:
        return None
    return abs(current_ua) / MICRO * voltage_uv / MICRO


def held_j(battery: Path) -> float | None:
    """What a battery holds, or `None` where it does not tell.

    A charge counts at the voltage that the battery was made for, for the present one sags under
    load.
    """
    energy_uwh = read_int(battery / "energy_now")
    if energy_uwh is not None:
        return energy_uwh / MICRO * S_PER_H
    charge_uah = read_int(battery / "charge_now")
    voltage_uv = read_int(battery / "voltage_min_design")
    if charge_uah is None or voltage_uv is None:
        return None
    return charge_uah / MICRO * voltage_uv / MICRO * S_PER_H


def open_meter(request: Request) -> Meter:
    """The meter of this device's batteries, or one that says why there is none."""
    batteries = Batteries(linux.Sensors.find(ROOT))
    if not batteries.directories:
        return Unavailable(request.text, DOMAIN, "this device has no battery", "use another meter")
    integrated = batteries.tell_power
    means, limits = (INTEGRATED, INTEGRATED_LIMITS) if integrated else (HELD, HELD_LIMITS)
    try:
        sensors = {DOMAIN: _sensor(batteries, integrated=integrated)}
    except LookupError as error:
        return Unavailable(request.text, DOMAIN, str(error), "unplug the device before the run")
    return open_sensors(request.text, means, limits, sensors)


def _sensor(batteries: Batteries, *, integrated: bool) -> Sensor:
    if integrated:
        return Integral(batteries.power_w, PERIOD_S)
    return Counter(batteries.given_j, Bounds(MOST_W, PERIOD_S))


def _told(value: float | None) -> float:
    if value is None:
        raise LookupError("a battery tells neither its power nor what it holds")
    return value
