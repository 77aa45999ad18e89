"""Graphics chips by the kernel's files, rebuilt from its documentation."""

from pathlib import Path

import pytest

from odllm_agent.contract import Phase
from odllm_agent.meters import energies, hwmon
from odllm_agent.meters.base import Meter
from odllm_agent.meters.energy import counter, integral
from odllm_agent.meters.hwmon import find_chips
from odllm_agent.meters.request import Request
from tests.odllm_agent.meters.hand_clock import set_in
from tests.small_files import SPOILT, spoil

HWMON = Request.parse("hwmon")


def monitor(root: Path, number: int, name: str, **files: int) -> Path:
    """One of the kernel's hardware monitors."""
    directory = root / f"hwmon{number}"
    directory.mkdir()
    (directory / "name").write_text(f"{name}\n")
    for file, value in files.items():
        (directory / file).write_text(f"{value}\n")
    return directory


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's hardware monitors are taken to be."""
    monkeypatch.setattr(hwmon, "HWMON", tmp_path)
    return tmp_path


def open_chips() -> Meter:
    """The meter over the files."""
    return hwmon.open_meter(HWMON)


def chosen(root: Path) -> list[tuple[str, bool]]:
    """The files that are read, and whether they count."""
    return [(str(chip.file.relative_to(root)), chip.counts) for chip in find_chips(root)]


def test_energy_is_preferred_and_the_whole_card_to_its_package(root: Path) -> None:
    monitor(root, 0, "coretemp", temp1_input=50_000)
    monitor(root, 1, "xe", energy1_input=1, energy2_input=2, power1_max=3)
    monitor(root, 2, "xe", energy2_input=2)
    monitor(root, 3, "i915", energy1_input=1)
    monitor(root, 4, "amdgpu", power1_average=1, power1_input=2)
    monitor(root, 5, "amdgpu", power1_input=2, temp1_input=40_000)
    monitor(root, 6, "amdgpu", temp1_input=40_000)
    assert chosen(root) == [
        ("hwmon1/energy1_input", True),
        ("hwmon2/energy2_input", True),
        ("hwmon3/energy1_input", True),
        ("hwmon4/power1_average", False),
        ("hwmon5/power1_input", False),
    ]


def test_a_counter_in_micro_joules_is_told_in_joules(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_in(monkeypatch, counter)
    directory = monitor(root, 0, "xe", energy1_input=5_000_000_000)
    meter = open_chips()
    assert (meter.report().domains, meter.report().means) == (("gpu",), "energy counter")
    before = meter.read()
    clock.advance(2.0)
    (directory / "energy1_input").write_text("5060500000\n")
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert energy.energy_j == pytest.approx(60.5)


def test_power_in_micro_watts_is_integrated_and_labelled(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_in(monkeypatch, integral)
    monkeypatch.setattr(integral, "_keep_reading", lambda reference, period_s: None)
    directory = monitor(root, 0, "amdgpu", power1_average=9_040_000)
    meter = open_chips()
    assert meter.report().means == "integrated power"
    before = meter.read()
    for _ in range(20):
        clock.advance(0.1)
        after = meter.read()
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (after,))
    assert energy.energy_j == pytest.approx(2.0 * 9.04)
    (directory / "power1_average").write_text("")
    assert meter.read()["gpu"].energy_j is None


def test_a_chip_that_this_user_may_not_read_gives_the_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    directory = monitor(root, 0, "xe", energy1_input=1)
    monkeypatch.setattr(hwmon, "NumberFile", refuse)
    report = open_chips().report()
    assert report.reason == f"this user may not read {directory}/energy1_input"
    assert report.remedy == f"sudo chmod a+r {directory}/energy1_input"


def test_a_chip_whose_sensor_holds_no_number_is_a_reason(root: Path) -> None:
    (monitor(root, 0, "i915", energy1_input=1) / "energy1_input").write_text("\n")
    assert "sensor cannot be read" in open_chips().report().reason


@pytest.mark.parametrize("how", [*SPOILT, "-1\n", "many\n", f"{10**40}\n"])
def test_a_chip_that_cannot_be_read_is_told_apart_and_takes_nothing_from_another(
    root: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    clock = set_in(monkeypatch, counter)
    bad = monitor(root, 0, "i915", energy1_input=1) / "energy1_input"
    spoil(bad, how)
    directory = monitor(root, 1, "xe", energy1_input=5_000_000_000)
    meter = open_chips()
    before = meter.read()
    clock.advance(2.0)
    (directory / "energy1_input").write_text("5060500000\n")
    told = {
        each.domain: each for each in energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    }
    assert told["gpu"].energy_j == pytest.approx(60.5)
    assert how == "gone" or str(bad) in told["gpu of hwmon0"].reason


@pytest.mark.parametrize("how", [*SPOILT, "-1\n"])
def test_power_stands_in_for_energy_that_cannot_be_read_and_its_part_does_not(
    root: Path, how: str
) -> None:
    spoil(monitor(root, 0, "xe", energy2_input=2, power1_input=3) / "energy1_input", how)
    spoil(monitor(root, 1, "amdgpu", power1_input=3) / "power1_average", how)
    first = ("hwmon0/energy2_input", True) if how == "gone" else ("hwmon0/power1_input", False)
    assert chosen(root) == [first, ("hwmon1/power1_input", False)]


def test_a_power_that_no_chip_draws_is_a_reason(root: Path) -> None:
    monitor(root, 0, "amdgpu", power1_average=10**13)
    monitor(root, 1, "amdgpu", power1_average=9_000_000)
    report = open_chips().report()
    assert report.domains == ("gpu",)
    assert "hwmon0/power1_average tells 1e+07 W, which no chip draws" in report.missing[0].reason


def test_a_power_that_can_be_stands_in_for_one_that_cannot(root: Path) -> None:
    monitor(root, 0, "amdgpu", power1_average=1_500_000_000_000, power1_input=15_000_000)
    assert chosen(root) == [("hwmon0/power1_input", False)]
    assert open_chips().report().domains == ("gpu",)


def test_a_device_without_such_a_chip_says_so(root: Path) -> None:
    monitor(root, 0, "nvme", temp1_input=40_000)
    report = open_chips().report()
    assert report.domains == ()
    assert "no graphics chip of amdgpu, i915, xe shows" in report.reason
    assert report.remedy
