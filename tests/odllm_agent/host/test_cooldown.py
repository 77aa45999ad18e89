"""Waiting for a device to cool down."""

import time
from collections.abc import Iterator

import pytest

from odllm_agent.contract import Cooldown
from odllm_agent.errors import SettingError
from odllm_agent.host import cooldown, state


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The sleeps that were asked for; none is slept."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def cooling(monkeypatch: pytest.MonkeyPatch, *temperatures: float | None) -> Iterator[float | None]:
    """A device that is cooler each time that it is asked."""
    left = iter(temperatures)
    monkeypatch.setattr(state, "temperature_c", lambda: next(left))
    return left


def test_nothing_is_waited_for_unless_asked(slept: list[float]) -> None:
    cooldown.wait(Cooldown())
    assert slept == []


def test_a_pause_is_made_in_any_case(slept: list[float]) -> None:
    cooldown.wait(Cooldown(pause_s=2.5))
    assert slept == [2.5]


def test_a_hot_device_is_waited_for_until_it_is_cooler_than_asked(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cooling(monkeypatch, 71.0, 65.0, 60.0, 59.9, 20.0)
    cooldown.wait(Cooldown(below_c=60.0))
    assert len(slept) == 3
    assert list(left) == [20.0]


def test_a_device_that_stays_hot_is_not_waited_for_longer_than_asked(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "temperature_c", lambda: 99.0)
    clock = iter(range(100))
    monkeypatch.setattr(cooldown, "seconds_since", lambda _: float(next(clock)))
    assert cooldown.wait(Cooldown(below_c=60.0, at_most_s=2.25, pause_s=1.0)) == 5.0
    assert slept == [1.0, 0.5, 0.5, 0.5, 0.25]


def test_what_was_waited_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.perf_counter()
    waited_s = cooldown.wait(Cooldown(pause_s=0.05))
    assert 0.05 <= waited_s <= time.perf_counter() - start


def test_a_temperature_that_nobody_tells_is_refused_by_name(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    cooling(monkeypatch, None)
    with pytest.raises(SettingError, match=r"cooldown\.below_c cannot be had") as refused:
        cooldown.wait(Cooldown(below_c=60.0))
    assert "pause_s" in refused.value.remedy
    assert slept == []
