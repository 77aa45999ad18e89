from collections.abc import Sequence
from pathlib import Path

import pytest

from odllm_agent.contract import Method
from odllm_agent.files.small_files import read_int
from odllm_agent.meters.rapl import meter as rapl
from odllm_agent.meters.rapl import pyrapl
from odllm_agent.meters.rapl.meter import POWERCAP, limits, open_meter, why_absent
from odllm_agent.meters.rapl.zones import Zone
from odllm_agent.meters.request import Request
from tests import small_files
from tests.odllm_agent.meters import powercap
from tests.small_files import SPOILT, spoil

RAPL = Request.parse("rapl")


def test_no_zone_may_wrap_twice_in_the_longest_window() -> None:
    zones = {
        "package": [Zone(Path(), 262_143.0, 0), Zone(Path(), 262_143.0, 1)],
        "dram": [Zone(Path(), 65_532.610987, 0)],
    }
    assert limits(zones).longest_s == pytest.approx(131.07, abs=0.01)
    assert limits(zones).most_w == 1000.0


def test_a_platform_may_draw_more_than_all_of_its_packages() -> None:
    package, platform = Zone(Path(), 262_143.0, 0), Zone(Path(), 262_143.0, 0)
    found = limits({"package": [package, package], "psys": [platform]})
    assert found.most_w == 1500.0
    assert found.longest_s == pytest.approx(262_143 / 1500)


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


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where this machine's files are taken to be: two packages, and CPUs that tell nothing."""
    tree = powercap.build(tmp_path / "class", packages=2)
    monkeypatch.setattr(rapl, "POWERCAP", tree / "powercap/intel-rapl")
    monkeypatch.setattr(rapl, "ROOT", tmp_path)
    return tree


def read_j() -> dict[str, float | None]:
    """What each domain has counted since the meter was opened, two joules of each package later."""
    meter = open_meter(RAPL)
    for number in (0, 1):
        advance(number, 2.0)
    return {domain: reading.energy_j for domain, reading in meter.read().items()}


def advance(package: int, joules: float) -> None:
    """Counts so many joules more in a package and in each of its parts."""
    zone = rapl.POWERCAP / f"intel-rapl:{package}"
    for counter in (zone / "energy_uj", *zone.glob("*/energy_uj")):
        counted_uj = read_int(counter)
        if counted_uj is not None and counted_uj >= 0:
            powercap.write_uj(counter, counted_uj + joules * 1e6)


def no_pyrapl(name: str, files: Sequence[tuple[int, Path]]) -> pyrapl.Counters:
    raise LookupError("pyRAPL is not installed")


def test_without_pyrapl_the_kernels_files_are_read(
    monkeypatch: pytest.MonkeyPatch, tree: Path
) -> None:
    monkeypatch.setattr(pyrapl, "counters", no_pyrapl)
    told_j = read_j()
    assert told_j == {"package": 4.0, "core": 4.0, "dram": 4.0, "psys": 0.0, "uncore": None}


def test_every_socket_counts(monkeypatch: pytest.MonkeyPatch, tree: Path) -> None:
    told_uj = {"PkgAPI": [90e6, 10e6], "DramAPI": [1e6, 2e6]}

    class Counters:
        def __init__(self, name: str, files: Sequence[tuple[int, Path]]) -> None:
            self._name = name

        def energy(self) -> Sequence[float]:
            return told_uj[self._name]

    monkeypatch.setattr(pyrapl, "counters", Counters)
    meter = open_meter(RAPL)
    told_uj |= {"PkgAPI": [91e6, 12e6], "DramAPI": [1.5e6, 2.25e6]}
    powercap.write_uj(powercap.counter(tree, 1, 0), 1_234_567 + 250_000)
    readings = meter.read()
    energies_j = {domain: reading.energy_j for domain, reading in readings.items()}
    assert energies_j == pytest.approx(
        {"package": 3.0, "core": 0.25, "dram": 0.75, "psys": 0.0, "uncore": None}
    )


@pytest.mark.parametrize("how", [*SPOILT, "-5\n", "many\n", "nan\n", f"{2**63}\n"])
@pytest.mark.parametrize(
    ("zone", "domain"), [((0,), "package"), ((1,), "package"), ((1, 1), "dram"), ((2,), "psys")]
)
def test_a_counter_that_cannot_be_read_takes_only_its_own_domain(
    tree: Path, zone: tuple[int, ...], domain: str, how: str
) -> None:
    spoil(powercap.counter(tree, *zone), how)
    told_j = read_j()
    sound = {"package": 4.0, "core": 4.0, "dram": 4.0, "psys": 0.0, "uncore": None}
    assert told_j == sound | {domain: None}
    lost = {each.domain: each for each in open_meter(RAPL).report().missing}
    assert str(powercap.counter(tree, *zone)) in lost[domain].reason


def test_an_impossible_range_of_one_zone_leaves_the_others_their_windows(tree: Path) -> None:
    dram = powercap.counter(tree, 1, 1)
    powercap.write_uj(dram, 0)
    dram.with_name("max_energy_range_uj").write_text("1\n")
    assert open_meter(RAPL).limits.longest_s == pytest.approx(2**16 / 500)
    assert read_j()["package"] == 4.0


def test_a_counter_without_a_range_is_told_up_to_where_it_goes_back(tree: Path) -> None:
    powercap.counter(tree).with_name("max_energy_range_uj").unlink()
    meter = open_meter(RAPL)
    assert meter.limits.longest_s == pytest.approx(2**16 / 500)
    advance(0, 2.0)
    (good,) = [reading for domain, reading in meter.read().items() if domain == "package"]
    assert (good.energy_j, good.fault) == (2.0, "")
    powercap.write_uj(powercap.counter(tree), 1)
    readings = meter.read()
    assert "went back" in readings["package"].fault
    assert readings["core"].fault == ""


@pytest.mark.parametrize(
    ("cpus", "sound"),
    [
        ({"cpu0": "0", "cpu1": None}, True),
        ({"cpu0": "0", "cpu1": "1"}, True),
        ({"cpu0": "0", "cpu1": "many", "cpu2": "-1"}, True),
        ({"cpu0": "0", "cpu1": "1", "cpu2": "2"}, False),
    ],
)
def test_packages_are_added_up_unless_a_socket_has_none(
    tmp_path: Path, tree: Path, cpus: dict[str, str | None], sound: bool
) -> None:
    for name, package in cpus.items():
        cpu = tmp_path / "sys/devices/system/cpu" / name
        cpu.mkdir(parents=True)
        if package is not None:
            small_files.write(cpu, topology__physical_package_id=f"{package}\n")
    told_j = read_j()
    assert (told_j["package"], told_j["psys"]) == (4.0 if sound else None, 0.0)
