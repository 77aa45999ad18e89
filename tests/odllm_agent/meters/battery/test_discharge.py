"""What a battery gives and holds, in units that can be believed."""

from pathlib import Path

import pytest

from odllm_agent.meters.battery.discharge import Doubt, discharge_w, held_j, size_wh
from tests.power_supplies import battery, build
from tests.small_files import SPOILT, spoil


def folder(root: Path, **files: object) -> Path:
    """A battery's directory; see `battery`."""
    return build(root, {"BAT0": battery(**files)}) / "sys/class/power_supply/BAT0"


@pytest.mark.parametrize(
    ("files", "watts"),
    [
        ({}, 9.0),
        ({"power_now": -9_000_000}, 9.0),
        ({"power_now": None, "current_now": 750_000}, 9.0),
        ({"power_now": None, "current_now": -750_000}, 9.0),
        ({"power_now": 0}, 0.0),
        ({"power_now": 0, "current_now": -750_000}, 9.0),
        ({"power_now": 9_000, "current_now": 750_000}, 9.0),
        ({"power_now": 9_000_000, "current_now": 750}, 9.0),
        ({"power_now": 9_500_000, "current_now": 750_000}, 9.5),
        ({"power_now": "much", "current_now": 750_000}, 9.0),
        ({"power_now": None, "current_now": 750_000, "voltage_now": 0}, None),
        ({"power_now": None, "current_now": 750_000, "voltage_now": None}, None),
        ({"power_now": ""}, None),
        ({"energy_full_design": 40_000}, 9.0),
        ({"energy_full_design": 0}, 9.0),
        ({"energy_full_design": -1, "energy_full": "x"}, 9.0),
        ({"power_now": 95_000_000, "energy_full_design": 90_000_000}, 95.0),
        ({"power_now": 600_000, "energy_full_design": 90_000_000}, 0.6),
    ],
)
def test_power_is_told_whatever_the_drivers_sign(
    tmp_path: Path, files: dict[str, object], watts: float | None
) -> None:
    assert discharge_w(folder(tmp_path, **files)) == pytest.approx(watts)


@pytest.mark.parametrize(
    "files",
    [
        {"power_now": 9_000},
        {"power_now": 150_000},
        {"power_now": 9_000_000_000},
        {"power_now": -(2**31)},
        {"power_now": 2**63},
        {"power_now": 9},
        {"power_now": 250_000, "energy_full_design": 90_000_000},
        {"power_now": 250_000_000, "energy_full_design": 40_000_000},
        {"power_now": 9_000, "energy_full_design": 40_000, "energy_now": 20_000},
        {"power_now": 0, "current_now": 750},
        {"power_now": None, "current_now": 750},
        {"power_now": None, "current_now": 750, "voltage_now": 12_000},
        {"power_now": None, "current_now": 750_000, "voltage_now": 12_000},
        {"power_now": None, "current_now": 65_535_000},
        {"power_now": 9_000_000, "current_now": 20_000_000},
    ],
)
def test_power_in_other_units_is_doubted(tmp_path: Path, files: dict[str, object]) -> None:
    with pytest.raises(Doubt, match="BAT0 tells"):
        discharge_w(folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("files", "wh"),
    [
        ({}, 20.0),
        ({"energy_full_design": 40_000_000}, 20.0),
        ({"energy_now": None}, None),
        ({"energy_now": None, "charge_now": 2_000_000}, None),
        ({"energy_now": None, "charge_now": 2_000_000, "voltage_min_design": 11_400_000}, 22.8),
        ({"energy_now": "x", "charge_now": 2_000_000, "voltage_min_design": 11_400_000}, 22.8),
        ({"energy_now": 20_000, "charge_now": 2_000_000, "voltage_min_design": 10_000_000}, 20.0),
        ({"energy_now": None, "charge_now": 2_000_000, "voltage_min_design": 0}, None),
        ({"energy_now": 0, "capacity": 0}, 0.0),
        ({"energy_now": 100_000, "capacity": 1}, 0.1),
        ({"capacity": None}, 20.0),
        ({"capacity": 300}, 20.0),
        ({"energy_now": 41_000_000, "energy_full_design": 40_000_000, "capacity": 100}, 41.0),
    ],
)
def test_what_a_battery_holds_is_told_by_energy_or_charge(
    tmp_path: Path, files: dict[str, object], wh: float | None
) -> None:
    told_j = held_j(folder(tmp_path, **files))
    assert told_j == (None if wh is None else pytest.approx(wh * 3600))


@pytest.mark.parametrize(
    "files",
    [
        {"energy_now": 20_000},
        {"energy_now": 20_000, "energy_full_design": 40_000},
        {"energy_now": 20_000, "energy_full_design": 40_000_000},
        {"energy_now": 20_000, "capacity": None},
        {"energy_now": -20_000_000},
        {"energy_now": 20_000_000_000},
        {"energy_now": 80_000_000, "energy_full_design": 40_000_000},
        {"energy_now": None, "charge_now": 2_000, "voltage_min_design": 11_400_000},
        {"energy_now": None, "charge_now": 2_000_000, "voltage_min_design": 11_400},
        {"energy_now": None, "charge_now": -(2**31), "voltage_min_design": 11_400_000},
    ],
)
def test_what_a_battery_holds_in_other_units_is_doubted(
    tmp_path: Path, files: dict[str, object]
) -> None:
    with pytest.raises(Doubt, match=r"BAT0 holds .* does not fit what else it tells"):
        held_j(folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("files", "wh"),
    [
        ({}, None),
        ({"energy_full": 38_000_000}, 38.0),
        ({"energy_full_design": 40_000_000, "energy_full": 38_000_000}, 40.0),
        ({"energy_full_design": 40_000, "energy_full": 38_000_000}, 38.0),
        ({"charge_full_design": 4_000_000, "voltage_min_design": 11_400_000}, 45.6),
        ({"charge_full_design": 4_000_000}, None),
        ({"energy_full_design": 2**63, "energy_full": -1}, None),
    ],
)
def test_the_size_is_the_first_that_can_be(
    tmp_path: Path, files: dict[str, object], wh: float | None
) -> None:
    assert size_wh(folder(tmp_path, **files)) == (None if wh is None else pytest.approx(wh))


@pytest.mark.parametrize("how", SPOILT)
def test_files_that_do_not_tell_are_none(tmp_path: Path, how: str) -> None:
    told = folder(tmp_path, current_now=1, charge_now=1)
    for name in ("power_now", "current_now", "energy_now", "charge_now"):
        spoil(told / name, how)
    assert (discharge_w(told), held_j(told)) == (None, None)
