"""The page that compares devices."""

from pathlib import Path

import pytest

from tests import stores, support
from tests.app.drawn import charts, headings, page, table, texts


def test_one_device_has_nothing_to_be_compared_with(path: Path) -> None:
    stores.measured(path, support.round_result())
    test = page("devices")
    assert "there is nothing to compare" in texts(test)
    assert table(test, "Processor")["Device"].tolist() == ["laptop"]
    assert not charts(test)


def test_devices_are_told_as_ratios_with_intervals(showcased: Path) -> None:
    test = page("devices", base="desktop", metric="Time per output token", device="laptop")
    assert headings(test) == ["**laptop against desktop** · Time per output token, lower is better"]
    assert "8 trials that both have" in texts(test)
    assert "median of 6 repeats each" in texts(test)
    cells = table(test, "Ratio")
    assert len(cells) == 2 * 4
    # The desktop reads 62 GB/s, the laptop 40; 2 ms besides are the same on both.
    large = cells[(cells["Model"] == "qwen-3B") & (cells["Type"] == "F16")].iloc[0]
    assert large["Ratio"] == pytest.approx((6.18e9 / 40e9 + 0.002) / (6.18e9 / 62e9 + 0.002), 0.01)
    assert (cells["95 % from"] < cells["Ratio"]).all()
    assert (cells["Ratio"] < cells["95 % to"]).all()


def test_every_other_device_has_a_chart(showcased: Path) -> None:
    test = page("devices", base="desktop")
    assert len(charts(test)) == 2
    ratios = {
        tuple(set(each.value["Device"])): set(each.value["Origin"])
        for each in test.dataframe
        if "Ratio" in each.value
    }
    assert ratios == {("laptop",): {"measured"}, ("slice-1 (virtual)",): {"virtual"}}


def test_energy_of_one_device_alone_is_not_compared(showcased: Path) -> None:
    test = page("devices", base="laptop", metric="Decode power")
    assert "shares no figure of Decode power" in texts(test)


def test_what_each_device_is(showcased: Path) -> None:
    devices = table(page("devices"), "Processor").set_index("Device")
    assert devices.loc["desktop", "Reads (GB/s)"] == 62
    assert devices.loc["laptop", "At rest (W)"] == pytest.approx(3.1)
    assert devices.loc["slice-1", "Kind"] == "virtual"
    assert devices["At rest (W)"].isna().sum() == 2, "what was not measured is missing"
