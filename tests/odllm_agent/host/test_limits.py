"""When a device may be measured on."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Hindrance, Limits
from odllm_agent.host.limits import hindrance, hours
from tests import support

NOON = time(12)


@pytest.mark.parametrize(
    ("limits", "state", "told"),
    [
        (Limits(on_mains=True), {"on_battery": True}, "runs on its battery"),
        (Limits(min_battery_percent=50), {"battery_percent": 49.0}, "at 49 %, and 50 % are wanted"),
        (Limits(max_temperature_c=45), {"temperature_c": 50.0}, "at 50 C, above 45 C"),
        (Limits(hours="22:00-06:00"), {}, "only run from 22:00 to 06:00"),
    ],
)
def test_each_limit_keeps_a_device_and_says_why(
    limits: Limits, state: dict[str, object], told: str
) -> None:
    found = hindrance(limits, support.state(**state), NOON)
    assert told in found.reason
    assert not found.for_good


@pytest.mark.parametrize(
    ("limits", "state"),
    [
        (Limits(), {"on_battery": True, "battery_percent": 1.0, "temperature_c": None}),
        (Limits(on_mains=True), {"on_battery": None}),
        (Limits(on_mains=True), {"on_battery": False}),
        (Limits(min_battery_percent=50), {"battery_percent": None}),
        (Limits(min_battery_percent=50), {"battery_percent": 50.0}),
        (Limits(max_temperature_c=50), {"temperature_c": 50.0}),
        (Limits(hours="08:00-12:01"), {}),
    ],
)
def test_a_device_within_its_limits_may_run(limits: Limits, state: dict[str, object]) -> None:
    assert hindrance(limits, support.state(**state), NOON) == Hindrance()


def test_a_temperature_that_nobody_tells_cannot_be_kept_to() -> None:
    found = hindrance(Limits(max_temperature_c=50), support.state(temperature_c=None), NOON)
    assert found.for_good
    assert "max_temperature_c" in found.reason


@given(st.times(), st.times(), st.times())
def test_a_time_of_the_day_and_the_rest_of_it_are_the_whole_day(
    begin: time, end: time, moment: time
) -> None:
    begin, end = begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    span, rest = (
        Limits(hours=f"{first:%H:%M}-{last:%H:%M}") for first, last in ((begin, end), (end, begin))
    )
    may, may_otherwise = (
        not hindrance(limits, support.state(), moment).reason for limits in (span, rest)
    )
    assert may != may_otherwise or begin == end


@pytest.mark.parametrize("text", ["22-6", "24:00-06:00", "22:00 - 06:00", "", "22:00-06:00x"])
def test_what_is_no_time_of_the_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time of the day"):
        hours(text)
