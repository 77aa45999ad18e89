from collections.abc import Sequence
from pathlib import Path

import pytest

from odllm_agent.contract import Method
from odllm_agent.meters import pyrapl, rapl
from odllm_agent.meters.rapl import POWERCAP, limits, open_meter, why_absent
from odllm_agent.meters.request import Request
from odllm_agent.meters.zones import Zone
from tests.odllm_agent.meters import powercap

RAPL = Request.parse("rapl")


def test_no_zone_may_wrap_twice_in_the_longest_window() -> None:
    zones = {
        "package": [Zone(Path(), 262_143.0, 0), Zone(Path(), 262_143.0, 1)],
        "dram": [Zone(Path(), 65_532.610987, 0)],
    }
    assert limits(zones).longest_s == pytest.approx(131.07, abs=0.01)
    assert limits(zones).most_w == 1000.0


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
    report = open_meter(RAPL).report()
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert report.reason
    assert report.remedy


def test_a_missing_pyrapl_leaves_what_is_read_without_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> pyrapl.Counters:
        raise ModuleNotFoundError(name="pyRAPL")

    tree = powercap.build(tmp_path)
    monkeypatch.setattr(rapl, "POWERCAP", tree / "powercap/intel-rapl")
    monkeypatch.setattr(pyrapl, "counters", missing)
    report = open_meter(RAPL).report()
    assert report.domains == ("core", "psys")
    lost = {domain.domain: domain for domain in report.missing}
    assert lost["package"].reason == "pyRAPL is not installed"
    assert lost["package"].remedy == 'pip install "odllm[agent]"'


def test_every_socket_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told_uj = {"PkgAPI": [90e6, 10e6], "DramAPI": [1e6, 2e6]}

    class Counters:
        def __init__(self, name: str) -> None:
            self._name = name

        def energy(self) -> Sequence[float]:
            return told_uj[self._name]

    tree = powercap.build(tmp_path, packages=2)
    monkeypatch.setattr(rapl, "POWERCAP", tree / "powercap/intel-rapl")
    monkeypatch.setattr(pyrapl, "counters", Counters)
    meter = open_meter(RAPL)
    told_uj |= {"PkgAPI": [91e6, 12e6], "DramAPI": [1.5e6, 2.25e6]}
    powercap.write_uj(powercap.counter(tree, 1, 0), 1_234_567 + 250_000)
    readings = meter.read()
    energies_j = {domain: reading.energy_j for domain, reading in readings.items()}
    assert energies_j == pytest.approx(
        {"package": 3.0, "core": 0.25, "dram": 0.75, "psys": 0.0, "uncore": None}
    )
