"""What the battery gives, which is what the whole device draws while it is unplugged.

Of several batteries those count that discharge; one that charges gives nothing.

Source: Linux, Documentation/ABI/testing/sysfs-class-power. psutil tells a battery's percentage and
not its power, so other systems have no such meter.
"""

from dataclasses import dataclass
from pathlib import Path

from odllm_agent.host import linux
from odllm_agent.host.power_supply import Battery, ChargeStatus
from odllm_agent.meters.base import Meter, Unavailable, WindowLimits
from odllm_agent.meters.battery.discharge import MICRO, MOST_W, S_PER_H, Doubt, discharge_w, held_j
from odllm_agent.meters.energy.counter import Bounds, Counter
from odllm_agent.meters.energy.integral import Integral
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import INTEGRATED, Sensor, open_sensors

ROOT = Path("/")

# The kernel asks the firmware at most once a second (drivers/acpi/battery.c, cache_time); that the
# firmware measures half as often is assumed.
PERIOD_S = 2.0

# What a battery says that it holds moves by 10 mWh (ACPI, _BIX) or less: ten steps of a laptop that
# draws 6 W.
HELD_STEP_J = 0.01 * S_PER_H
HELD_SHORTEST_S = 60.0

DOMAIN = "battery"
INTEGRATED_LIMITS = WindowLimits.of_period(PERIOD_S, MOST_W, 1 / MICRO)
HELD = "what the battery holds"
HELD_LIMITS = WindowLimits(HELD_SHORTEST_S, float("inf"), MOST_W, HELD_STEP_J, PERIOD_S)
PLUGGED_IN = "the mains is plugged in, so the battery does not feed the device"
OTHER = "use another meter"
UNPLUG = "unplug the device before the run"
UNPLUG_OR_OTHER = f"{UNPLUG} if it is plugged in, else {OTHER}"
PLUGGED_IN_TOO = "is plugged in too, so the battery may give only a part of what the device draws"


@dataclass(frozen=True, slots=True)
class Batteries:
    """The batteries that feed a device.

    Attributes:
        sensors: Those of the device.
    """

    sensors: linux.Sensors

    def power_w(self) -> float:
        """What all of them give.

        Raises:
            LookupError: They do not feed the device, or one does not tell.
        """
        given_w = sum(_power_w(battery, status) for battery, status in self._feeding())
        if given_w == 0:
            raise LookupError("a battery discharges and says that it gives 0 W")
        return given_w

    def given_j(self) -> float:
        """What all of them gave, less what they once held.

        Raises:
            LookupError: They do not feed the device, or one does not tell.
        """
        return -sum(_held_j(battery, status) for battery, status in self._feeding())

    def _feeding(self) -> list[tuple[Battery, ChargeStatus]]:
        """The batteries that may give something, with what they say that they do."""
        told = [(battery, battery.status()) for battery in self.sensors.supplies.batteries()]
        states = [status for _, status in told]
        adapter = self.sensors.supplies.plugged_in()
        if ChargeStatus.DISCHARGING not in states:
            names = ", ".join(status.capitalize() for status in states)
            raise LookupError(PLUGGED_IN if adapter else f"no battery discharges: {names}")
        if adapter:
            raise LookupError(f"{adapter.folder.name} {PLUGGED_IN_TOO}")
        return [
            (battery, status) for battery, status in told if status is not ChargeStatus.CHARGING
        ]


def open_meter(request: Request) -> Meter:
    """The meter of this device's batteries, or one that says why there is none."""
    batteries = Batteries(linux.Sensors.find(ROOT))
    if not batteries.sensors.supplies.batteries():
        return Unavailable(request.text, DOMAIN, "this device has no battery", OTHER)
    try:
        means, limits, sensor = _open(batteries)
    except Doubt as doubt:
        return Unavailable(request.text, DOMAIN, str(doubt), OTHER)
    except LookupError as error:
        return Unavailable(request.text, DOMAIN, str(error), _remedy(batteries))
    return open_sensors(request.text, means, limits, {DOMAIN: sensor})


def _remedy(batteries: Batteries) -> str:
    """What may help where a battery cannot be metered; not to unplug what is unplugged."""
    supplies = batteries.sensors.supplies
    if supplies.plugged_in():
        return UNPLUG
    if supplies.on_battery():
        return OTHER
    return UNPLUG_OR_OTHER


def _open(batteries: Batteries) -> tuple[str, WindowLimits, Sensor]:
    """By power or, where a battery does not tell it, by what they hold."""
    try:
        return INTEGRATED, INTEGRATED_LIMITS, Integral(batteries.power_w, PERIOD_S)
    except Doubt:
        # What else a driver tells that counts in other units is not believed either.
        raise
    except LookupError:
        return HELD, HELD_LIMITS, Counter(batteries.given_j, Bounds(MOST_W, PERIOD_S))


def _power_w(battery: Battery, status: ChargeStatus) -> float:
    if status is ChargeStatus.DISCHARGING:
        return _told(discharge_w(battery.folder), battery, "its power")
    _check_rest(battery, status)
    return 0.0


def _held_j(battery: Battery, status: ChargeStatus) -> float:
    if status is ChargeStatus.DISCHARGING:
        return _told(held_j(battery.folder), battery, "its power, nor what it holds")
    _check_rest(battery, status)
    try:
        return held_j(battery.folder) or 0.0
    except Doubt:
        return 0.0


def _check_rest(battery: Battery, status: ChargeStatus) -> None:
    """Whether a battery that does not discharge gives nothing.

    Raises:
        LookupError: It has something to give and does not say what it does.
    """
    if status is not ChargeStatus.UNKNOWN:
        return
    given_w = discharge_w(battery.folder)
    if given_w or (given_w is None and held_j(battery.folder)):
        raise LookupError(f"{battery.name} does not tell whether it discharges")


def _told(value: float | None, battery: Battery, what: str) -> float:
    if value is None:
        raise LookupError(f"{battery.name} does not tell {what}")
    return value
