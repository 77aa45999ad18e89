from pathlib import Path

import pytest

from odllm_agent.meters.zones import find_zones
from tests.odllm_agent.meters import powercap


def zones_of(tree: Path) -> dict[str, list[tuple[str, int]]]:
    """The directories and sockets of a tree's zones, by domain."""
    found = find_zones(tree / "powercap/intel-rapl")
    return {
        domain: [(zone.energy_file.parent.name, zone.socket) for zone in zones]
        for domain, zones in found.items()
    }


def test_every_domain_has_a_zone_per_socket_and_psys_one(tmp_path: Path) -> None:
    assert zones_of(powercap.build(tmp_path, packages=2, inner=("core", "uncore", "dram"))) == {
        "package": [("intel-rapl:0", 0), ("intel-rapl:1", 1)],
        "core": [("intel-rapl:0:0", 0), ("intel-rapl:1:0", 1)],
        "uncore": [("intel-rapl:0:1", 0), ("intel-rapl:1:1", 1)],
        "dram": [("intel-rapl:0:2", 0), ("intel-rapl:1:2", 1)],
        "psys": [("intel-rapl:2", 0)],
    }


def test_a_zones_socket_is_in_its_name_and_not_in_its_directorys(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, packages=2, inner=("core",))
    for zone, name in ((0, "package-1"), (1, "package-0")):
        powercap.counter(tree, zone).with_name("name").write_text(f"{name}\n")
    assert zones_of(tree)["core"] == [("intel-rapl:0:0", 1), ("intel-rapl:1:0", 0)]


def test_a_domain_that_only_some_sockets_show_is_left_out(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, packages=2)
    powercap.counter(tree, 1, 1).with_name("name").write_text("other\n")
    assert set(zones_of(tree)) == {"package", "core", "psys"}


def test_the_range_is_in_joules(tmp_path: Path) -> None:
    found = find_zones(powercap.build(tmp_path) / "powercap/intel-rapl")
    assert found["dram"][0].range_j == pytest.approx(262_143.32885)


@pytest.mark.parametrize("names", [[], ["package-0-die-0", "package-0-die-1"]])
def test_zones_that_pyrapl_cannot_tell_apart_are_named(tmp_path: Path, names: list[str]) -> None:
    tree = powercap.build(tmp_path, packages=len(names))
    for number, name in enumerate(names):
        powercap.counter(tree, number).with_name("name").write_text(f"{name}\n")
    with pytest.raises(LookupError, match="zones like package-0") as caught:
        zones_of(tree)
    assert str(sorted([*names, "psys"])) in str(caught.value)
