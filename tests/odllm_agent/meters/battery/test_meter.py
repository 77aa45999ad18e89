"""Batteries by the kernel's files, rebuilt from its documentation."""

from pathlib import Path

import pytest

from odllm_agent.contract import Energy, Phase
from odllm_agent.meters import energies
from odllm_agent.meters.base import Meter
from odllm_agent.meters.battery import meter as battery
from odllm_agent.meters.battery.discharge import discharge_w, held_j
from odllm_agent.meters.energy import counter, integral
from odllm_agent.meters.request import Request
from tests.odllm_agent.meters.hand_clock import HandClock, set_in
from tests.power_supplies import BATTERY, OFF, ON, USB_OFF, USB_ON, Tree, build
from tests.power_supplies import battery as battery_of
from tests.small_files import SPOILT, spoil

REQUEST = Request.parse("battery")


def supply(root: Path, name: str, kind: str, **files: object) -> Path:
    """One of the kernel's power supplies."""
    directory = root / "sys/class/power_supply" / name
    directory.mkdir(parents=True)
    for file, value in {"type": kind, **files}.items():
        (directory / file).write_text(f"{value}\n")
    return directory


def mains(root: Path, online: int = 0) -> Path:
    """The mains adapter."""
    return supply(root, "AC", "Mains", online=online)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's files are taken to be."""
    monkeypatch.setattr(battery, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """A clock for sensors that nothing reads but the test."""
    monkeypatch.setattr(integral, "_keep_reading", lambda reference, period_s: None)
    return set_in(monkeypatch, integral, counter)


def told_of(meter: Meter, clock: HandClock, seconds: int = 30) -> Energy:
    """The energy of so many seconds, the battery being read every second of them."""
    before = after = meter.read()
    for _ in range(seconds):
        clock.advance(1.0)
        after = meter.read()
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (after,))
    return energy


def test_the_power_of_a_discharging_battery_is_integrated(root: Path, clock: HandClock) -> None:
    mains(root)
    supply(root, "BAT0", "Battery", status="Discharging", power_now=9_540_000)
    meter = battery.open_meter(REQUEST)
    report = meter.report()
    assert (report.domains, report.means) == (("battery",), "integrated power")
    assert told_of(meter, clock).energy_j == pytest.approx(30 * 9.54)


def test_two_batteries_count_together(root: Path, clock: HandClock) -> None:
    mains(root)
    supply(root, "BAT0", "Battery", status="Discharging", power_now=6_000_000)
    supply(root, "BAT1", "Battery", status="Not charging", power_now=0)
    assert told_of(battery.open_meter(REQUEST), clock).energy_j == pytest.approx(180.0)


def test_current_times_voltage_is_power_whatever_the_drivers_sign(tmp_path: Path) -> None:
    files = {"current_now": -763_000, "voltage_now": 12_420_000}
    told_w = discharge_w(supply(tmp_path, "BAT0", "Battery", **files))
    assert told_w == pytest.approx(0.763 * 12.42)


def test_a_battery_that_tells_no_power_is_taken_by_what_it_holds(
    root: Path, clock: HandClock
) -> None:
    mains(root)
    holds = supply(root, "BAT0", "Battery", status="Discharging", energy_now=40_000_000)
    meter = battery.open_meter(REQUEST)
    assert meter.report().means == "what the battery holds"
    assert meter.report().step_j == pytest.approx(36.0)
    before = meter.read()
    clock.advance(100.0)
    (holds / "energy_now").write_text("39700000\n")
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert energy.energy_j == pytest.approx(0.3 * 3600)


def test_a_charge_counts_at_the_voltage_of_its_design(tmp_path: Path) -> None:
    files = {"charge_now": 3_000_000, "voltage_now": 12_000_000, "voltage_min_design": 11_400_000}
    assert held_j(supply(tmp_path, "BAT0", "Battery", **files)) == pytest.approx(34.2 * 3600)


def test_a_charger_that_is_plugged_in_spoils_the_window_and_no_other(
    root: Path, clock: HandClock
) -> None:
    adapter = mains(root)
    supply(root, "BAT0", "Battery", status="Discharging", power_now=10_000_000)
    meter = battery.open_meter(REQUEST)
    before = meter.read()
    (adapter / "online").write_text("1\n")
    clock.advance(1.0)
    meter.read()
    (adapter / "online").write_text("0\n")
    clock.advance(30.0)
    (spoilt,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert (spoilt.energy_j, spoilt.reason) == (None, f"AC {battery.PLUGGED_IN_TOO}")
    assert told_of(meter, clock).energy_j == pytest.approx(300.0)


def test_a_battery_that_does_not_discharge_yet_gives_no_figure(
    root: Path, clock: HandClock
) -> None:
    mains(root)
    status = supply(root, "BAT0", "Battery", status="Discharging", power_now=10_000_000) / "status"
    meter = battery.open_meter(REQUEST)
    status.write_text("Full\n")
    assert meter.read()["battery"].reason == "no battery discharges: Full"


def test_a_window_shorter_than_ten_of_its_periods_is_none(root: Path, clock: HandClock) -> None:
    mains(root)
    supply(root, "BAT0", "Battery", status="Discharging", power_now=10_000_000)
    energy = told_of(battery.open_meter(REQUEST), clock, seconds=19)
    assert energy.energy_j is None
    assert "too short for the sensor" in energy.reason


@pytest.mark.parametrize(
    ("online", "files", "reason", "remedy"),
    [
        (1, {"status": "Charging", "power_now": 1}, battery.PLUGGED_IN, battery.UNPLUG),
        (1, {"status": "Unknown", "power_now": 1}, battery.PLUGGED_IN, battery.UNPLUG),
        (
            0,
            {"status": "Full", "power_now": 1},
            "no battery discharges: Full",
            battery.UNPLUG_OR_OTHER,
        ),
        (0, {"status": "Unknown", "power_now": 1}, "no battery discharges: Unknown", battery.OTHER),
        (0, {"power_now": 1}, "no battery discharges: Unknown", battery.OTHER),
        (
            0,
            {"status": "Discharging"},
            "BAT0 does not tell its power, nor what it holds",
            battery.OTHER,
        ),
    ],
)
def test_a_battery_that_cannot_be_metered_says_why_and_what_to_do(
    root: Path, online: int, files: dict[str, object], reason: str, remedy: str
) -> None:
    mains(root, online)
    supply(root, "BAT0", "Battery", **files)
    report = battery.open_meter(REQUEST).report()
    assert (report.domains, report.reason, report.remedy) == ((), reason, remedy)


def test_a_mouse_has_a_battery_and_the_device_none(root: Path) -> None:
    supply(root, "hidpp_battery_0", "Battery", status="Discharging", scope="Device", power_now=1)
    assert battery.open_meter(REQUEST).report().reason == "this device has no battery"


NO_BATTERY = "this device has no battery"
OTHER_UNITS = "its driver counts in other units"
PLAIN = {"type": "Battery", "status": "Discharging", "capacity": 50}
MOUSE = {"type": "Battery", "status": "Discharging", "capacity": 10}
CHARGING = battery_of("Charging", power_now=30_000_000)
HELD_ONLY = battery_of(power_now=None)


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        # One battery tells its power.
        ({"BAT0": BATTERY, "AC": OFF}, 9.0),
        ({"BAT0": battery_of(power_now=-9_000_000), "AC": OFF}, 9.0),
        ({"BAT0": battery_of(power_now=None, current_now=-750_000), "AC": OFF}, 9.0),
        ({"BAT 0": BATTERY}, 9.0),
        ({"BAT0": battery_of("discharging")}, 9.0),
        ({"BAT0": battery_of("DISCHARGING", scope="System"), "AC": OFF}, 9.0),
        # It tells what it holds.
        ({"BAT0": HELD_ONLY, "AC": OFF}, battery.HELD),
        ({"BAT0": {**PLAIN, "charge_now": 2 * 10**6, "voltage_min_design": 11_400_000}}, "holds"),
        ({"BAT0": {**PLAIN, "charge_now": 2 * 10**6, "voltage_now": 12_000_000}}, "does not tell"),
        ({"BAT0": battery_of(power_now=0), "AC": OFF}, battery.HELD),
        ({"BAT0": battery_of(power_now=0, energy_now=None), "AC": OFF}, "does not tell"),
        ({"BAT0": battery_of(power_now="?"), "AC": OFF}, battery.HELD),
        # Slots, batteries of other things, and two at once.
        ({"BAT0": BATTERY, "BAT1": {**PLAIN, "present": 0, "status": "Unknown"}, "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": {**PLAIN, "present": 0}, "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": {"type": "Battery", "status": "Unknown"}, "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": {"type": "Battery"}, "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("Not charging", power_now=0), "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("Charging", power_now=5_000_000)}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("Charging", power_now=-5_000_000)}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("Charging", power_now="")}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("Full", power_now=7), "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("Unknown", power_now=0), "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "BAT1": battery_of("", power_now=5_000_000)}, "whether it discharges"),
        ({"BAT0": BATTERY, "BAT1": battery_of(power_now=6_000_000), "AC": OFF}, 15.0),
        ({"BAT0": BATTERY, "BAT1": battery_of(power_now=6_000), "AC": OFF}, OTHER_UNITS),
        ({"BAT0": BATTERY, "BAT1": {**PLAIN, "status": "Discharging"}}, "BAT1 does not tell"),
        ({"BAT0": HELD_ONLY, "BAT1": battery_of("Charging", power_now=None)}, battery.HELD),
        ({"BAT0": BATTERY, "hid": {**MOUSE, "scope": "Device"}, "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "hid": MOUSE, "AC": OFF}, 9.0),
        ({"BAT0": BATTERY, "ups": {**MOUSE, "type": "UPS", "power_now": 90_000_000}}, 9.0),
        ({"hid": MOUSE}, NO_BATTERY),
        ({"ups": {**MOUSE, "type": "UPS"}, "AC": OFF}, NO_BATTERY),
        ({"BAT0": {**PLAIN, "present": 0}, "AC": ON}, NO_BATTERY),
        # Adapters.
        (
            {"BAT0": battery_of("Charging", power_now=30_000_000), "AC": OFF, "ucsi": USB_ON},
            "mains",
        ),
        ({"BAT0": battery_of("Charging", power_now=30_000_000), "AC": OFF}, "Charging"),
        ({"BAT0": BATTERY, "ADP1": OFF, "sbs": ON}, 9.0),
        ({"BAT0": BATTERY, "AC": ON}, "AC is plugged in too"),
        ({"BAT0": BATTERY, "AC": OFF, "ucsi": USB_ON}, "ucsi is plugged in too"),
        ({"BAT0": BATTERY, "ucsi": USB_OFF}, 9.0),
        ({"BAT0": battery_of("Not charging", power_now=0)}, "no battery discharges"),
        ({"BAT0": battery_of("Unknown", power_now=0), "AC": OFF}, "no battery discharges"),
        # Units.
        ({"BAT0": {**PLAIN, "current_now": 750, "voltage_now": 12_000}, "AC": OFF}, OTHER_UNITS),
        ({"BAT0": battery_of(power_now=9_000), "AC": OFF}, OTHER_UNITS),
        ({"BAT0": battery_of(power_now=None, current_now=750), "AC": OFF}, OTHER_UNITS),
        ({"BAT0": battery_of(power_now=None, energy_now=20_000)}, OTHER_UNITS),
        # Nothing is told.
        ({"BAT0": {"type": "Battery", "status": "", "capacity": "", "power_now": ""}}, "Unknown"),
        ({}, NO_BATTERY),
    ],
)
def test_what_discharges_is_metered_and_nothing_else(
    root: Path, clock: HandClock, tree: Tree, told: float | str
) -> None:
    build(root, tree)
    meter = battery.open_meter(REQUEST)
    report = meter.report()
    if isinstance(told, float):
        assert (report.domains, report.means) == (("battery",), "integrated power")
        assert told_of(meter, clock).energy_j == pytest.approx(30 * told)
    else:
        assert told in f"{report.reason}{report.means}"
        assert bool(report.reason) == (report.domains == ())


def test_a_battery_that_charges_beside_is_not_counted_by_what_it_holds(
    root: Path, clock: HandClock
) -> None:
    tree = {"BAT0": HELD_ONLY, "BAT1": battery_of("Charging", power_now=None)}
    supplies = build(root, tree) / "sys/class/power_supply"
    meter = battery.open_meter(REQUEST)
    before = meter.read()
    clock.advance(100.0)
    (supplies / "BAT0/energy_now").write_text("19700000\n")
    (supplies / "BAT1/energy_now").write_text("20200000\n")
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert energy.energy_j == pytest.approx(0.3 * 3600)
    (supplies / "BAT1/status").write_text("Discharging\n")
    clock.advance(100.0)
    assert "went back" in meter.read()["battery"].fault


@pytest.mark.parametrize("how", [*SPOILT, "9000\n", "-2147483648\n", "much\n"])
def test_a_power_that_is_no_longer_told_spoils_its_windows_only(
    root: Path, clock: HandClock, how: str
) -> None:
    power = build(root, {"BAT0": BATTERY, "AC": OFF}) / "sys/class/power_supply/BAT0/power_now"
    meter = battery.open_meter(REQUEST)
    before = meter.read()
    clock.advance(1.0)
    spoil(power, how)
    assert meter.read()["battery"].reason.startswith("BAT0 ")
    power.rmdir() if power.is_dir() else power.unlink(missing_ok=True)
    power.write_text("9000000\n")
    clock.advance(30.0)
    (spoilt,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert spoilt.energy_j is None
    assert told_of(meter, clock).energy_j == pytest.approx(270.0)
