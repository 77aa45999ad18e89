"""The real pyRAPL above the kernel's files, driven at a known power."""

import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from odllm_agent.contract import Energy, MeterReport, Method, from_json
from odllm_agent.meters.rapl import meter as rapl
from tests import small_files
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


def told(answer: dict[str, object]) -> list[dict[str, Energy]]:
    """The windows of a script, each by domain; the last is from its first step to its last."""
    lines = answer["windows"]
    assert isinstance(lines, list)
    windows = [[from_json(Energy, line) for line in window] for window in lines]
    return [{energy.domain: energy for energy in window} for window in windows]


# Two joules of the package, one of its cores, a half of its DRAM, four of the platform.
STEPS = json.dumps(
    [
        {"0": 1e6, "0:0": 1e6, "0:1": 1e6, "1": 1e6},
        {"0": 3e6, "0:0": 2e6, "0:1": 1.5e6, "1": 5e6},
    ]
)


def run(tree: Path, *steps: Mapping[str, float | None]) -> list[dict[str, Energy]]:
    """What the meter tells of a script; see `powercap.scripted`."""
    return told(powercap.above(tree, "scripted", json.dumps(steps)))


# Counters of 900 J; the driver starts half a second before they wrap.
@pytest.mark.parametrize("watts", [("28",), pytest.param(("20", "30"), marks=needs_two_processors)])
def test_known_powers_are_measured_through_a_wrap(tmp_path: Path, watts: tuple[str, ...]) -> None:
    tree = powercap.build(tmp_path / "class", packages=len(watts), range_uj=900_000_000)
    answer = powercap.above(tree, "windows", *watts, sockets=len(watts))
    power_w = answer["power_w"]
    assert isinstance(power_w, dict)
    assert answer["wraps"] == 1
    total_w = sum(map(float, watts))
    expected_w = {
        "package": total_w,
        "core": powercap.CORE_SHARE * total_w,
        "dram": powercap.DRAM_SHARE * total_w,
        "psys": powercap.PSYS_SHARE * total_w,
    }
    assert set(power_w) == {*expected_w, "uncore"}
    for domain, domain_w in expected_w.items():
        assert all(isinstance(value, float) for value in power_w[domain]), power_w
        # No figure may be far off, wrap or not, and what they agree on must be the power itself.
        assert statistics.median(power_w[domain]) == pytest.approx(domain_w, rel=0.01)
        assert power_w[domain] == pytest.approx([domain_w] * 5, rel=0.1)
    report = reported(answer)
    assert (report.name, report.method) == ("rapl", Method.MEASURED)
    assert report.domains == ("package", "core", "dram", "psys")
    assert (report.step_j, report.period_s) == (rapl.STEP_J, rapl.PERIOD_S)
    assert report.read_s is not None
    assert report.read_s > 0
    (uncore,) = report.missing
    assert (uncore.domain, uncore.reason) == ("uncore", "this machine shows no uncore counter")


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
    tree = powercap.build(tmp_path / "class")
    values_uj = (5_000_000, 5_000_000, None, 6_000_000, 7_000_000)
    still, going, coming, good, whole = (
        window["package"] for window in run(tree, *({"0": value_uj} for value_uj in values_uj))
    )
    assert [e.energy_j for e in (still, going, coming, good)] == [None, None, None, 1.0]
    assert "did not move" in still.reason
    assert "could not be read" in going.reason
    assert "could not be read" in coming.reason
    assert (good.method, good.reason) == (Method.MEASURED, "")
    # Its edges are good, and what happened between them is not.
    assert (whole.energy_j, whole.method) == (None, Method.UNAVAILABLE)
    assert "could not be read" in whole.reason


def test_one_domain_that_fails_leaves_the_others_theirs(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class")
    start = {"0": 1e6, "0:0": 1e6, "0:1": 1e6, "1": 1e6}
    end = {"0": 3e6, "0:0": 2e6, "0:1": None, "1": 5e6}
    window, _ = run(tree, start, end)
    energies_j = {domain: energy.energy_j for domain, energy in window.items()}
    assert energies_j == {"package": 2.0, "core": 1.0, "dram": None, "psys": 4.0, "uncore": None}
    assert "could not be read" in window["dram"].reason


def test_a_counter_that_goes_back_is_no_wrap(tmp_path: Path) -> None:
    values_uj = (9e6, 8e6, 8.5e6)
    steps = [dict.fromkeys(("0", "0:0", "0:1", "1"), value_uj) for value_uj in values_uj]
    back, good, whole = run(powercap.build(tmp_path / "class"), *steps)
    for domain in ("package", "core", "dram", "psys"):
        energies_j = [window[domain].energy_j for window in (back, good, whole)]
        assert energies_j == [None, 0.5, None]
        assert "jumped" in back[domain].reason
        assert "jumped" in whole[domain].reason


def test_a_counter_that_freezes_in_the_middle_spoils_the_window_around_it(tmp_path: Path) -> None:
    steps = [
        {"0": 5e6},
        {"0": 6e6},
        {"wait_s": rapl.STALLED_S + 0.1},
        {"0": 7e6},
        {"0": 8e6},
    ]
    moved, frozen, thawed, good, whole = (
        window["package"] for window in run(powercap.build(tmp_path / "class"), *steps)
    )
    assert [e.energy_j for e in (moved, frozen, thawed, good, whole)] == [
        1.0,
        None,
        None,
        1.0,
        None,
    ]
    assert "stood still" in thawed.reason
    assert "stood still" in whole.reason


def test_a_range_in_other_units_hides_no_window_and_makes_no_energy(tmp_path: Path) -> None:
    # 5 J at 500 W are 10 ms, and a step of the script takes 20 ms: nobody could read that counter.
    tree = powercap.build(tmp_path / "class", range_uj=5_000_000)
    forward, back, whole = (
        window["package"] for window in run(tree, {"0": 1e6}, {"0": 2e6}, {"0": 1e6})
    )
    assert (forward.energy_j, forward.reason) == (1.0, "")
    assert (back.energy_j, whole.energy_j) == (None, None)
    assert "went back by 1 J" in back.reason


def test_an_amd_processor_has_package_and_core(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class", inner=("core",), psys=False)
    report = reported(powercap.above(tree, "report"))
    assert report.domains == ("package", "core")
    assert [lost.domain for lost in report.missing] == ["uncore", "dram", "psys"]


def test_one_counter_that_this_user_may_not_read_is_a_missing_domain(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class")
    powercap.counter(tree).chmod(0o444)
    report = reported(powercap.above(tree, "report_to_nobody"))
    assert report.domains == ("package",)
    refused = {lost.domain: lost for lost in report.missing}
    for domain in ("core", "dram", "psys"):
        assert "this user may not read" in refused[domain].reason
        assert refused[domain].remedy == rapl.ALLOW_READING


@needs_two_processors
def test_a_socket_without_a_zone_is_a_reason(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class"), "report", sockets=2)
    lost = {each.domain: each.reason for each in reported(answer).missing}
    assert lost["package"] == "2 processor sockets are on, and only package-0 has a counter"
    assert reported(answer).domains == ("psys",)


def test_packages_that_pyrapl_passes_over_are_read_all_the_same(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class", packages=2)
    first, last = {"0": 1e6, "1": 1e6, "0:1": 1e6, "1:1": 1e6}, {"0": 3e6, "1": 4e6, "0:1": 2e6}
    window, _ = run(tree, first, last)
    assert (window["package"].energy_j, window["dram"].energy_j) == (5.0, 1.0)


@pytest.mark.parametrize(
    "cpus",
    [
        {"present": "0-1\n", "cpu0__topology__physical_package_id": "0\n", "cpu1__online": "0\n"},
        {"present": "0-3\n", "cpu0__topology__physical_package_id": "0\n"},
        {"cpu0__topology__physical_package_id": "0\n"},
        {
            "present": "0-1\n",
            "cpu0__topology__physical_package_id": "0\n",
            "cpu1__topology__physical_package_id": "",
        },
        {"present": "none\n"},
    ],
    ids=["SMT is off", "folders are missing", "none are listed", "one is empty", "none tells"],
)
def test_a_processor_that_is_off_costs_no_energy(tmp_path: Path, cpus: dict[str, str]) -> None:
    tree = powercap.build(tmp_path / "class")
    small_files.write(tmp_path / "cpu", **cpus)
    answer = powercap.above(tree, "scripted", STEPS, cpus=tmp_path / "cpu")
    window, _ = told(answer)
    energies_j = {domain: energy.energy_j for domain, energy in window.items()}
    assert energies_j == {"package": 2.0, "core": 1.0, "dram": 0.5, "psys": 4.0, "uncore": None}


@pytest.mark.parametrize("text", ["dram\n", "package\n", "package-x\n", "", "psys"])
def test_a_zone_of_an_odd_name_takes_nothing_from_the_others(tmp_path: Path, text: str) -> None:
    tree = powercap.build(tmp_path / "class")
    odd = small_files.write(tree / "powercap/intel-rapl/intel-rapl:2", name=text, energy_uj="1\n")
    assert odd.is_dir()
    small_files.write(tmp_path / "cpu", present="0\n", cpu0__topology__physical_package_id="0\n")
    window, _ = told(powercap.above(tree, "scripted", STEPS, cpus=tmp_path / "cpu"))
    assert [window[domain].energy_j for domain in ("package", "dram", "psys")] == [2.0, 0.5, 4.0]


def test_a_tree_without_a_package_tells_why_and_what_there_is(tmp_path: Path) -> None:
    report = reported(powercap.above(powercap.build(tmp_path / "class", packages=0), "report"))
    assert report.domains == ("psys",)
    assert report.missing[0].reason == "this machine shows no package counter"


def test_a_zone_without_its_range_is_read_until_it_starts_over(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path / "class")
    powercap.counter(tree).with_name("max_energy_range_uj").unlink()
    good, over, _ = run(tree, {"0": 9e6}, {"0": 9.5e6}, {"0": 1e6})
    assert good["package"].energy_j == 0.5
    assert over["package"].energy_j is None
    assert "jumped" in over["package"].reason or "went back" in over["package"].reason


def test_a_directory_that_a_container_hides_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "class/powercap").mkdir(parents=True)
    (tmp_path / "class/powercap/intel-rapl").symlink_to("/sys/devices/virtual/powercap/masked")
    report = reported(powercap.above(tmp_path / "class", "report"))
    assert report.reason == "this container hides the energy counters of its machine"


def test_a_reading_costs_little(tmp_path: Path) -> None:
    answer = powercap.above(powercap.build(tmp_path / "class"), "cost")
    assert float(str(answer["median_us"])) < 100
