"""The page about power and energy."""

from pathlib import Path

import pytest

from tests import stores, support
from tests.app.drawn import charts, headings, page, table, texts


def test_power_of_prefill_is_set_against_that_of_decode(showcased: Path) -> None:
    test = page("energy", device="laptop")
    assert headings(test)[0].startswith("**Prefill against decode power**")
    assert "surely more in 2 of 2 models" in texts(test)
    assert "prefill draws 1.5" in texts(test)
    assert "energy: measured" in texts(test)
    powers = table(test, "Prefill power (W)", "Decode power (W)", "At rest (W)", "Method")
    assert len(powers) == 8
    assert powers["Prefill power (W)"].median() == pytest.approx(22, rel=0.05)
    assert powers["Decode power (W)"].median() == pytest.approx(14.5, rel=0.05)
    assert set(powers["At rest (W)"]) == {3.1}


def test_without_a_meter_there_is_the_reason_and_what_to_do(path: Path) -> None:
    stores.measured(path, support.round_result())
    test = page("energy")
    assert "no powercap here" in texts(test)
    assert not charts(test)
    meters = table(test, "How to allow it")
    assert meters["Why it reads nothing"].tolist() == ["no powercap here"]
    assert meters["How to allow it"].tolist() == ["use a real machine"]


def test_only_meters_of_the_chosen_devices_are_listed(showcased: Path) -> None:
    assert table(page("energy", device="laptop"), "Meter")["Device"].tolist() == ["laptop"]


def test_how_far_off_the_sensor_may_be_is_told(showcased: Path) -> None:
    assert "its sensor may be off by 10 %" in texts(page("energy", device="laptop"))
