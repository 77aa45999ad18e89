"""What a battery gives and holds, by its files, as far as their units can be believed.

The kernel asks for micro-watts, -amperes, -volts and -watt-hours, and some drivers count in
milli-units all the same. Such a figure is off by a thousand, and no battery is: a device that
computes draws 0.2 to 300 W, a battery can hold 2 to 1000 Wh and is emptied in 12 minutes to 200
hours, and what it holds fits its level. What lies outside is doubted and not taken.

Source: Linux, Documentation/ABI/testing/sysfs-class-power.
"""

from collections.abc import Iterator
from pathlib import Path

from odllm_agent.files.small_files import read_int

MICRO = 1_000_000
S_PER_H = 3600

# USB power delivery ends at 240 W, and no laptop draws more for long; none that computes draws as
# little as 0.2 W, which is what 200 W are to a driver that counts in milliwatts.
LEAST_W, MOST_W = 0.2, 300.0
LEAST_WH, MOST_WH = 2.0, 1000.0
SHORTEST_H, LONGEST_H = 0.2, 200.0
# Below this a battery is empty, or counts in milliwatt-hours; above its size it is new.
EMPTY_WH, EMPTY_PERCENT, FULLEST = 0.2, 5, 1.5
# Two ways to tell the same may differ by a moving mean; units differ by a thousand.
ALIKE = 10.0
_OTHER_UNITS = ", which no battery gives while it feeds a device: its driver counts in other units"


class Doubt(LookupError):
    """A battery tells what cannot be."""


def discharge_w(battery: Path) -> float | None:
    """What a battery gives, or `None` where it does not tell.

    The sign tells charging from discharging on some drivers only, and its status does on all.

    Args:
        battery: The kernel's directory of it.

    Raises:
        Doubt: What it tells cannot be.
    """
    told = dict(_powers_w(battery))
    flows = {source: watts for source, watts in told.items() if watts}
    if not flows:
        return 0.0 if told else None
    least_w, most_w = _bounds_w(battery)
    believed = [watts for watts in flows.values() if least_w <= watts <= most_w]
    if not believed:
        source, watts = next(iter(flows.items()))
        raise Doubt(f"{battery.name} tells {watts:.3g} W by its {source}{_OTHER_UNITS}")
    if max(believed) > ALIKE * min(believed):
        raise Doubt(f"{battery.name} tells {believed[0]:.3g} W and {believed[1]:.3g} W at once")
    return believed[0]


def held_j(battery: Path) -> float | None:
    """What a battery holds, or `None` where it does not tell.

    A charge counts at the voltage that the battery was made for, for the present one sags under
    load.

    Args:
        battery: The kernel's directory of it.

    Raises:
        Doubt: What it tells cannot be.
    """
    shown = {quantity: _energy_wh(battery, quantity) for quantity in ("energy_now", "charge_now")}
    told = {quantity: wh for quantity, wh in shown.items() if wh is not None}
    believed = [wh for wh in told.values() if _may_hold(battery, wh)]
    if told and not believed:
        source, wh = next(iter(told.items()))
        raise Doubt(
            f"{battery.name} holds {wh:.3g} Wh by its {source}, which does not fit what else it "
            "tells: its driver counts in other units"
        )
    return believed[0] * S_PER_H if believed else None


def size_wh(battery: Path) -> float | None:
    """What a battery can hold, or `None` where it tells nothing that can be.

    Args:
        battery: The kernel's directory of it.
    """
    quantities = ("energy_full_design", "energy_full", "charge_full_design", "charge_full")
    told = (_energy_wh(battery, quantity) for quantity in quantities)
    return next((wh for wh in told if wh is not None and LEAST_WH <= wh <= MOST_WH), None)


def _powers_w(battery: Path) -> Iterator[tuple[str, float]]:
    power_uw = read_int(battery / "power_now")
    if power_uw is not None:
        yield "power_now", abs(power_uw) / MICRO
    current_ua = read_int(battery / "current_now")
    voltage_uv = read_int(battery / "voltage_now")
    if current_ua is not None and voltage_uv is not None and voltage_uv > 0:
        yield "current_now and voltage_now", abs(current_ua) / MICRO * voltage_uv / MICRO


def _bounds_w(battery: Path) -> tuple[float, float]:
    wh = size_wh(battery)
    if wh is None:
        return LEAST_W, MOST_W
    return max(LEAST_W, wh / LONGEST_H), min(MOST_W, wh / SHORTEST_H)


def _energy_wh(battery: Path, quantity: str) -> float | None:
    value = read_int(battery / quantity)
    if value is None:
        return None
    if quantity.startswith("energy"):
        return value / MICRO
    voltage_uv = read_int(battery / "voltage_min_design")
    return value / MICRO * voltage_uv / MICRO if voltage_uv else None


def _may_hold(battery: Path, wh: float) -> bool:
    """Whether a battery of this size and level can hold so much."""
    size = size_wh(battery)
    most_wh = FULLEST * size if size else MOST_WH
    return _least_wh(read_int(battery / "capacity"), size) <= wh <= most_wh


def _least_wh(percent: int | None, size: float | None) -> float:
    if percent is None or not 0 <= percent <= 100:
        return EMPTY_WH
    if percent < EMPTY_PERCENT:
        return 0.0
    return percent / 100 * (size / ALIKE if size else LEAST_WH)
