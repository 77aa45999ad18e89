"""When a device may be measured on."""

import re
from datetime import time

from odllm_agent.contract import DeviceState, Hindrance, Limits

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def hours(text: str) -> tuple[time, time]:
    """The beginning and the end of a time of the day, such as `22:00-06:00`.

    Raises:
        ValueError: The text is no such time.
    """
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time of the day such as 22:00-06:00")
    first, second, third, fourth = map(int, found.groups())
    return time(first, second), time(third, fourth)


def hindrance(limits: Limits, state: DeviceState, time_of_day: time) -> Hindrance:
    """What keeps a device from measuring now.

    Args:
        limits: When it may.
        state: How it is.
        time_of_day: Its own time.
    """
    if limits.hours and not _is_within(time_of_day, *hours(limits.hours)):
        return Hindrance(f"it may only run from {limits.hours.replace('-', ' to ')}")
    if limits.on_mains and state.on_battery:
        return Hindrance("it runs on its battery")
    return _of_battery(limits, state) or _of_temperature(limits, state) or Hindrance()


def _of_battery(limits: Limits, state: DeviceState) -> Hindrance | None:
    least, there = limits.min_battery_percent, state.battery_percent
    if least is None or there is None or there >= least:
        return None
    return Hindrance(f"its battery is at {there:.0f} %, and {least:.0f} % are wanted")


def _of_temperature(limits: Limits, state: DeviceState) -> Hindrance | None:
    most, there = limits.max_temperature_c, state.temperature_c
    if most is None:
        return None
    if there is None:
        return Hindrance("fleet.limits.max_temperature_c: it tells no temperature", for_good=True)
    return Hindrance(f"it is at {there:.0f} C, above {most:.0f} C") if there > most else None


def _is_within(moment: time, begin: time, end: time) -> bool:
    """Whether a time is in a span of the day, which may go past midnight; none is all of it."""
    if begin == end:
        return True
    if begin < end:
        return begin <= moment < end
    return moment >= begin or moment < end
