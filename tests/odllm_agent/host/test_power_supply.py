"""Whether a battery feeds a device, by the kernel's files of its batteries and adapters."""

from pathlib import Path

import pytest

from odllm_agent.host.power_supply import Supplies
from tests.power_supplies import BATTERY, OFF, ON, USB_OFF, USB_ON, Tree, battery, build
from tests.small_files import SPOILT, spoil

MOUSE = {"type": "Battery", "status": "Discharging", "capacity": 10}


def supplies(root: Path, tree: Tree) -> Supplies:
    return Supplies.find(build(root, tree))


@pytest.mark.parametrize(
    ("tree", "on_battery"),
    [
        ({"BAT0": BATTERY, "AC": OFF}, True),
        ({"BAT0": BATTERY}, True),
        ({"BAT 0": BATTERY}, True),
        ({"BAT0": BATTERY, "AC": ON}, True),
        ({"BAT0": BATTERY, "ADP1": OFF, "sbs": ON}, True),
        ({"BAT0": BATTERY, "ucsi": USB_OFF}, True),
        ({"BAT0": battery("discharging")}, True),
        ({"BAT0": battery("Charging"), "AC": OFF, "ucsi": USB_ON}, False),
        ({"BAT0": battery("Charging"), "AC": OFF}, False),
        ({"BAT0": battery("Full"), "AC": OFF, "ucsi": USB_ON}, False),
        ({"BAT0": battery("Full"), "AC": ON}, False),
        ({"BAT0": battery("Not charging")}, False),
        ({"BAT0": battery("Not charging"), "AC": OFF}, False),
        ({"BAT0": battery("Unknown"), "AC": OFF}, True),
        ({"BAT0": battery("Unknown"), "AC": ON}, False),
        ({"BAT0": battery("Unknown"), "AC": OFF, "ucsi": {"type": "USB_C", "online": 2}}, False),
        ({"BAT0": battery("Unknown")}, None),
        ({"BAT0": {"type": "Battery", "status": "", "capacity": "", "power_now": ""}}, None),
        ({"BAT0": battery("???"), "AC": {"type": "Mains", "online": "yes"}}, None),
        ({"BAT0": BATTERY, "BAT1": battery("Not charging", power_now=0), "AC": OFF}, True),
        ({"BAT0": BATTERY, "BAT1": battery("Charging"), "AC": OFF}, True),
        ({"BAT0": battery("Unknown"), "BAT1": battery("Charging"), "AC": OFF}, False),
        ({"BAT0": battery("Unknown"), "BAT1": battery("Full"), "AC": OFF}, True),
        ({"BAT0": battery("Unknown"), "BAT1": battery("Full")}, None),
        ({"AC": OFF}, None),
        ({"ups": {**MOUSE, "type": "UPS"}, "AC": OFF}, None),
        ({"ups": {**BATTERY, "type": "UPS"}, "BAT0": battery("Full"), "AC": ON}, False),
    ],
)
def test_a_batterys_own_status_decides_and_adapters_only_where_none_tells(
    tmp_path: Path, tree: Tree, on_battery: bool | None
) -> None:
    assert supplies(tmp_path, tree).on_battery() is on_battery


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("hid", MOUSE),
        ("hidpp_battery_0", {**MOUSE, "scope": "Device"}),
        ("hidpp_battery_1", {**MOUSE, "voltage_now": 3_900_000, "online": 1}),
        ("BAT1", {**BATTERY, "scope": "device"}),
        ("sony_controller_battery_a4:53:85", {**MOUSE, "present": 1}),
        ("wacom_battery_0", {**MOUSE, "charge_now": 300_000}),
        ("headset", {**MOUSE, "power_now": 5_000_000}),
        ("psy", {**BATTERY, "model_name": "Wireless Mouse MX"}),
    ],
)
def test_what_powers_something_else_is_no_battery_of_the_device(
    tmp_path: Path, name: str, files: dict[str, object]
) -> None:
    alone = supplies(tmp_path / "alone", {name: files})
    assert (alone.batteries(), alone.on_battery(), alone.percent()) == ((), None, None)
    tree = {"BAT0": battery("Charging", capacity=80), name: files, "AC": ON}
    beside = supplies(tmp_path / "beside", tree)
    assert (beside.on_battery(), beside.percent()) == (False, 80.0)


def test_a_battery_of_an_interface_device_is_known_by_where_it_lies(tmp_path: Path) -> None:
    build(tmp_path, {"BAT0": battery("Full")})
    device = tmp_path / "sys/devices/0018:04F3:2C62.0001/power_supply/battery"
    device.parent.mkdir(parents=True)
    (tmp_path / "sys/class/power_supply/BAT0").rename(device)
    (tmp_path / "sys/class/power_supply/battery").symlink_to(device)
    assert Supplies.find(tmp_path).batteries() == ()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("BAT1", {"type": "Battery", "status": "Discharging"}),
        ("CMB0", {"type": "Battery", "status": "Discharging"}),
        ("sbs-20-000b", {"type": "Battery", "status": "Discharging", "charge_now": 1}),
        ("macsmc-battery", {"type": "Battery", "status": "Discharging", "current_now": -1}),
        ("rk817", {"type": "Battery", "status": "Discharging", "scope": "System"}),
        ("BATC", {"type": "", "status": "Discharging"}),
        ("BAT0", {"type": "9999", "status": "Discharging"}),
    ],
)
def test_a_battery_of_the_device_is_known_by_its_name_or_by_what_it_tells(
    tmp_path: Path, name: str, files: dict[str, object]
) -> None:
    assert supplies(tmp_path, {name: files, "AC": ON}).on_battery() is True


@pytest.mark.parametrize("files", [{"status": "Unknown"}, {}, {"status": "Discharging"}])
def test_an_empty_slot_is_no_battery_until_one_is_put_in(
    tmp_path: Path, files: dict[str, object]
) -> None:
    slot = {"type": "Battery", "present": 0, **files}
    found = supplies(tmp_path, {"BAT0": battery("Full"), "BAT1": slot, "AC": OFF})
    assert [each.name for each in found.batteries()] == ["BAT0"]
    assert found.on_battery() is False
    (tmp_path / "sys/class/power_supply/BAT1/present").write_text("1\n")
    assert [each.name for each in found.batteries()] == ["BAT0", "BAT1"]


@pytest.mark.parametrize("how", SPOILT)
def test_a_battery_that_does_not_tell_hides_no_other(tmp_path: Path, how: str) -> None:
    build(tmp_path, {"BAT0": BATTERY, "BAT1": battery(capacity=90), "AC": ON})
    for file in ("status", "present", "capacity", "energy_now"):
        spoil(tmp_path / "sys/class/power_supply/BAT1" / file, how)
    spoil(tmp_path / "sys/class/power_supply/AC/online", how)
    found = Supplies.find(tmp_path)
    assert (found.on_battery(), found.percent()) == (True, 50.0)


@pytest.mark.parametrize(
    ("files", "percent"),
    [
        ({}, 50.0),
        ({"capacity": 0}, 0.0),
        ({"capacity": 255, "energy_full": 80_000_000}, 25.0),
        ({"capacity": -1, "energy_now": None, "charge_now": 3, "charge_full": 4}, 75.0),
        ({"capacity": None, "energy_now": 0, "energy_full": 80_000_000}, 0.0),
        ({"capacity": "full", "energy_full": 10_000_000}, None),
        ({"capacity": "", "energy_full": 0}, None),
    ],
)
def test_a_level_that_is_not_told_is_worked_out(
    tmp_path: Path, files: dict[str, object], percent: float | None
) -> None:
    assert supplies(tmp_path, {"BAT0": battery(**files)}).percent() == percent


@pytest.mark.parametrize("other", [{"type": "Battery", "present": 0}, {**MOUSE, "type": "UPS"}])
def test_an_empty_slot_and_a_ups_have_no_part_in_the_level(
    tmp_path: Path, other: dict[str, object]
) -> None:
    found = supplies(tmp_path / "beside", {"BAT0": BATTERY, "BAT1": other})
    assert (found.on_battery(), found.percent()) == (True, 50.0)
    alone = supplies(tmp_path / "alone", {"BAT1": other})
    assert (alone.on_battery(), alone.percent()) == (None, None)


def test_levels_count_alike(tmp_path: Path) -> None:
    tree = {"BAT0": battery(capacity=80), "BAT1": battery(capacity=40), "m": MOUSE}
    assert supplies(tmp_path, tree).percent() == 60.0


@pytest.mark.parametrize(
    ("adapters", "plugged_in"),
    [
        ({}, None),
        ({"AC": OFF}, None),
        ({"AC": ON}, "AC"),
        ({"AC": OFF, "sbs": ON}, None),
        ({"AC": OFF, "ucsi": USB_ON}, "ucsi"),
        ({"AC": OFF, "sbs": ON, "ucsi": USB_ON}, "ucsi"),
        ({"AC": {"type": "Mains", "online": ""}, "sbs": ON}, "sbs"),
        ({"wacom_ac": {**ON, "scope": "Device"}}, None),
        ({"wls": {"type": "Wireless", "online": 1}}, "wls"),
    ],
)
def test_an_adapter_that_is_always_on_is_told_from_one_that_feeds(
    tmp_path: Path, adapters: Tree, plugged_in: str | None
) -> None:
    found = supplies(tmp_path, {"BAT0": BATTERY, **adapters}).plugged_in()
    assert (found.folder.name if found else None) == plugged_in


@pytest.mark.parametrize("how", SPOILT)
def test_without_supplies_there_is_nothing_to_tell(tmp_path: Path, how: str) -> None:
    (tmp_path / "sys/class").mkdir(parents=True)
    spoil(tmp_path / "sys/class/power_supply", how)
    found = Supplies.find(tmp_path)
    assert (found.on_battery(), found.percent(), found.plugged_in()) == (None, None, None)
