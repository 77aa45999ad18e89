import errno
import importlib.metadata
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Method, Phase
from odllm_agent.meters import energies, rapl
from odllm_agent.meters.rapl import POWERCAP, Rapl, advanced_uj, package_ranges_uj, why_absent

RANGE_UJ = 262_143_328_850  # of an Intel laptop, whose energy unit is 61 micro-joules


class Script:
    """Counters that give one value, or one failure, after another."""

    def __init__(self, *steps: tuple[float, ...] | Exception) -> None:
        self._steps = iter(steps)

    def energy(self) -> Sequence[float]:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step


def energy_j(meter: Rapl) -> float:
    """What one reading of the packages gives."""
    value = meter.read()["package"].energy_j
    assert value is not None
    return value


@given(
    st.integers(1_000_000, RANGE_UJ),
    st.floats(0, 1, exclude_max=True),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
)
def test_a_counter_that_wraps_loses_nothing(
    range_uj: int, start: float, steps: list[float]
) -> None:
    true_uj = [int(start * range_uj)]
    for step in steps:
        true_uj.append(true_uj[-1] + int(step * range_uj))
    shown = [(float(value % range_uj),) for value in true_uj]
    meter = Rapl(Script(*shown), {0: range_uj})
    for value in true_uj[1:]:
        assert energy_j(meter) == pytest.approx((value - true_uj[0]) / 1e6, abs=1e-3)


@given(st.integers(0, RANGE_UJ - 1), st.integers(0, RANGE_UJ - 1))
def test_a_step_is_never_negative(before_uj: int, after_uj: int) -> None:
    assert 0 <= advanced_uj(before_uj, after_uj, RANGE_UJ) < RANGE_UJ


def test_all_sockets_count_and_each_wraps_by_itself() -> None:
    meter = Rapl(Script((90e6, -1, 10e6), (10e6, -1, 40e6)), {0: 100_000_000, 2: 50_000_000})
    assert energy_j(meter) == pytest.approx(20 + 30)


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENODEV, "No such device"), ValueError("could not convert ''")]
)
def test_a_failure_in_the_middle_spoils_that_window_only(failure: Exception) -> None:
    meter = Rapl(Script((1e6,), (2e6,), failure, (4e6,), (8e6,)), {0: RANGE_UJ})
    start, broken, mended, end = (meter.read() for _ in range(4))
    assert broken["package"].energy_j is None
    assert "could not be read" in broken["package"].reason
    assert start["package"].energy_j == 1.0
    assert (mended["package"].energy_j, end["package"].energy_j) == (3.0, 7.0)
    (spoilt,) = energies(Phase.PREFILL, (meter,), (start,), (broken,))
    assert (spoilt.method, spoilt.energy_j) == (Method.UNAVAILABLE, None)
    assert "No such device" in spoilt.reason or "could not convert" in spoilt.reason


def test_a_counter_that_fails_from_the_start_is_no_meter() -> None:
    with pytest.raises(OSError, match="No such device"):
        Rapl(Script(OSError(errno.ENODEV, "No such device")), {0: RANGE_UJ})


def test_the_longest_window_follows_from_the_range() -> None:
    meter = Rapl(Script((0.0, 0.0)), {0: RANGE_UJ, 1: 65_532_610_987})
    assert meter.limits.longest_s == pytest.approx(131.07, abs=0.01)
    assert meter.limits.most_w == 1000.0


def zone(root: Path, number: str, name: str, range_uj: int) -> None:
    """One of the kernel's RAPL zones."""
    directory = root / f"intel-rapl:{number}"
    directory.mkdir(parents=True)
    (directory / "name").write_text(f"{name}\n")
    (directory / "max_energy_range_uj").write_text(f"{range_uj}\n")


def test_only_packages_are_package_zones(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0", RANGE_UJ)
    zone(tmp_path, "1", "psys", RANGE_UJ)
    zone(tmp_path, "2", "package-1", 65_532_610_987)
    assert package_ranges_uj(tmp_path) == {0: RANGE_UJ, 1: 65_532_610_987}


@pytest.mark.parametrize("names", [[], ["psys"], ["package-0-die-0", "package-0-die-1"]])
def test_zones_that_pyrapl_cannot_tell_apart_are_named(tmp_path: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        zone(tmp_path, str(number), name, RANGE_UJ)
    with pytest.raises(LookupError, match="zones like package-0") as caught:
        package_ranges_uj(tmp_path)
    assert str(sorted(names)) in str(caught.value)


@pytest.mark.parametrize(
    ("system", "machine", "cpuinfo", "hidden", "reason"),
    [
        ("Windows", "AMD64", "", False, "this is Windows"),
        ("Linux", "aarch64", "", False, "this is aarch64"),
        ("Linux", "x86_64", "flags : fpu hypervisor", True, "container hides"),
        ("Linux", "x86_64", "flags : fpu hypervisor", False, "virtual machine"),
        ("Linux", "x86_64", "flags : fpu", False, "the kernel shows no /sys/class/powercap"),
    ],
)
def test_absence_has_a_reason_and_a_remedy(
    system: str, machine: str, cpuinfo: str, hidden: bool, reason: str
) -> None:
    why, remedy = why_absent(system, machine, cpuinfo, hidden)
    assert reason in why
    assert remedy


@pytest.mark.skipif(POWERCAP.exists(), reason="this machine has RAPL")
def test_a_machine_without_counters_says_why() -> None:
    report = Rapl.open().report()
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert report.reason
    assert report.remedy


def test_a_missing_pyrapl_gives_the_line_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing() -> rapl.Counters:
        raise ModuleNotFoundError(name="pyRAPL")

    zone(tmp_path, "0", "package-0", RANGE_UJ)
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path)
    monkeypatch.setattr(rapl, "_package_counters", missing)
    report = Rapl.open().report()
    assert report.reason == "pyRAPL is not installed"
    assert report.remedy == 'pip install "odllm[agent]"'


def test_the_root_logger_is_left_as_it_was() -> None:
    root = logging.getLogger()
    handlers, filters, finders = list(root.handlers), list(root.filters), list(sys.meta_path)
    with rapl._quiet():
        logging.getLogger().info("nothing")
    assert (root.handlers, root.filters, sys.meta_path) == (handlers, filters, finders)


def test_other_warnings_than_pyrapls_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with rapl._quiet():
        logging.getLogger().warning("imports error \n You need to install pymongo")
        logging.getLogger().warning("the disk is full")
    assert caplog.messages == ["the disk is full"]


def test_pyrapl_is_the_version_whose_sensors_are_known() -> None:
    assert importlib.metadata.version("pyRAPL") == "0.2.3.1"
