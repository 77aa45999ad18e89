"""The real pyRAPL above the kernel's files, driven at a known power."""

import os
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest

from odllm_agent.contract import Energy, MeterReport, Method, from_json
from odllm_agent.meters import rapl
from tests.odllm_agent.meters import powercap


def _may_mount() -> bool:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    trial = ["unshare", "-m", "mount", "--bind", "/tmp", "/sys/class"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _may_mount(), reason="needs root and a private mount namespace")

needs_two_processors = pytest.mark.skipif(
    not Path("/sys/devices/system/cpu/cpu1/topology").exists(),
    reason="two sockets are made of two processors",
)


def reported(answer: dict[str, object]) -> MeterReport:
    """The report in a scenario's answer."""
    return from_json(MeterReport, str(answer["report"]))


# A counter of 300 J; the driver starts half a second before it wraps.
@pytest.mark.parametrize("watts", [("28",), pytest.param(("20", "30"), marks=needs_two_processors)])
def test_a_known_power_is_measured_through_a_wrap(tmp_path: Path, watts: tuple[str, ...]) -> None:
    tree = powercap.build(tmp_path / "class", packages=len(watts), range_uj=300_000_000)
    answer = powercap.above(tree, "windows", *watts, sockets=len(watts))
    power_w = answer["power_w"]
    assert isinstance(power_w, list)
    assert answer["wraps"] == 1
    assert all(isinstance(value, float) for value in power_w), power_w
    total_w = sum(map(float, watts))
    # No figure may be far off, wrap or not, and what they agree on must be the power itself.
    assert statistics.median(power_w) == pytest.approx(total_w, rel=0.01)
    assert power_w == pytest.approx([total_w] * 5, rel=0.1)
    assert reported(answer) == MeterReport("rapl", ("package",), Method.MEASURED)


def test_pyrapls_import_leaves_no_trace(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class", range_uj=300_000_000)
    answer = powercap.above(tree, "windows", "28")
    assert (answer["pandas"], answer["handlers"]) == (False, 0)


def test_a_counter_that_this_user_may_not_read_is_named_with_the_command(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class"), "report_to_nobody")
    report = reported(answer)
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert report.reason.startswith("this user may not read /sys/class/powercap/intel-rapl/")
    assert report.remedy == rapl.ALLOW_READING


def test_a_counter_that_stops_or_goes_away_spoils_its_windows_only(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class"), "emptied")
    lines = answer["energies"]
    assert isinstance(lines, list)
    still, going, coming, good = (from_json(Energy, line) for line in lines)
    assert [e.energy_j for e in (still, going, coming, good)] == [None, None, None, 1.0]
    assert "did not move" in still.reason
    assert "could not be read" in going.reason
    assert "could not be read" in coming.reason
    assert (good.method, good.reason) == (Method.MEASURED, "")


@needs_two_processors
def test_a_socket_without_a_zone_is_a_reason(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class"), "report", sockets=2)
    assert "not one package zone per processor socket" in reported(answer).reason


def test_a_zone_that_pyrapl_passes_over_is_a_reason(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class", packages=2), "report")
    assert "pyRAPL reads nothing of package 1" in reported(answer).reason


def test_a_tree_without_a_package_is_a_reason(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class", packages=0), "report")
    assert reported(answer).method is Method.UNAVAILABLE
    assert reported(answer).reason


def test_a_zone_without_its_range_is_a_reason(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class")
    powercap.counter(tree).with_name("max_energy_range_uj").unlink()
    assert "max_energy_range_uj" in reported(powercap.above(tree, "report")).reason


def test_a_directory_that_a_container_hides_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "class/powercap").mkdir(parents=True)
    (tmp_path / "class/powercap/intel-rapl").symlink_to("/sys/devices/virtual/powercap/masked")
    report = reported(powercap.above(tmp_path / "class", "report"))
    assert report.reason == "this container hides the energy counters of its machine"


def test_a_reading_costs_little(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class"), "cost")
    assert float(str(answer["median_us"])) < 100
