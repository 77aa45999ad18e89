"""Batteries by the kernel's files, rebuilt from its documentation."""

from pathlib import Path

import pytest

from odllm_agent.contract import Energy, Phase
from odllm_agent.meters import battery, counter, energies, integral
from odllm_agent.meters.base import Meter
from odllm_agent.meters.discharge import discharge_w, held_j
from odllm_agent.meters.request import Request
from tests.odllm_agent.meters.hand_clock import HandClock, set_in

BATTERY = Request.parse("battery")


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


def told(meter: Meter, clock: HandClock, seconds: int = 30) -> Energy:
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
    meter = battery.open_meter(BATTERY)
    report = meter.report()
    assert (report.domains, report.means) == (("battery",), "integrated power")
    assert told(meter, clock).energy_j == pytest.approx(30 * 9.54)


def test_two_batteries_count_together(root: Path, clock: HandClock) -> None:
    mains(root)
    supply(root, "BAT0", "Battery", status="Discharging", power_now=6_000_000)
    supply(root, "BAT1", "Battery", status="Not charging", power_now=0)
    assert told(battery.open_meter(BATTERY), clock).energy_j == pytest.approx(180.0)


def test_current_times_voltage_is_power_whatever_the_drivers_sign(tmp_path: Path) -> None:
    files = {"current_now": -763_000, "voltage_now": 12_420_000}
    told_w = discharge_w(supply(tmp_path, "BAT0", "Battery", **files))
    assert told_w == pytest.approx(0.763 * 12.42)


def test_a_battery_that_tells_no_power_is_taken_by_what_it_holds(
    root: Path, clock: HandClock
) -> None:
    mains(root)
    holds = supply(root, "BAT0", "Battery", status="Discharging", energy_now=40_000_000)
    meter = battery.open_meter(BATTERY)
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
    meter = battery.open_meter(BATTERY)
    before = meter.read()
    (adapter / "online").write_text("1\n")
    clock.advance(1.0)
    meter.read()
    (adapter / "online").write_text("0\n")
    clock.advance(30.0)
    (spoilt,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert (spoilt.energy_j, spoilt.reason) == (None, f"AC {battery.PLUGGED_IN_TOO}")
    assert told(meter, clock).energy_j == pytest.approx(300.0)


def test_a_battery_that_does_not_discharge_yet_gives_no_figure(
    root: Path, clock: HandClock
) -> None:
    mains(root)
    status = supply(root, "BAT0", "Battery", status="Discharging", power_now=10_000_000) / "status"
    meter = battery.open_meter(BATTERY)
    status.write_text("Full\n")
    assert meter.read()["battery"].reason == "no battery discharges: Full"


def test_a_window_shorter_than_ten_of_its_periods_is_none(root: Path, clock: HandClock) -> None:
    mains(root)
    supply(root, "BAT0", "Battery", status="Discharging", power_now=10_000_000)
    energy = told(battery.open_meter(BATTERY), clock, seconds=19)
    assert energy.energy_j is None
    assert "too short for the sensor" in energy.reason


@pytest.mark.parametrize(
    ("online", "files", "reason"),
    [
        (1, {"status": "Charging", "power_now": 1}, battery.PLUGGED_IN),
        (0, {"status": "Unknown", "power_now": 1}, "no battery discharges: Unknown"),
        (0, {"status": "Discharging"}, "BAT0 does not tell its power, nor what it holds"),
    ],
)
def test_a_battery_that_cannot_be_metered_says_why(
    root: Path, online: int, files: dict[str, object], reason: str
) -> None:
    mains(root, online)
    supply(root, "BAT0", "Battery", **files)
    report = battery.open_meter(BATTERY).report()
    assert (report.domains, report.reason) == ((), reason)
    assert report.remedy


def test_a_mouse_has_a_battery_and_the_device_none(root: Path) -> None:
    supply(root, "hidpp_battery_0", "Battery", status="Discharging", scope="Device", power_now=1)
    assert battery.open_meter(BATTERY).report().reason == "this device has no battery"
