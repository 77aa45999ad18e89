from pathlib import Path

import pytest

from odllm_agent.meters.rapl.zones import Zones, find_zones
from tests import small_files
from tests.odllm_agent.meters import powercap
from tests.small_files import SPOILT, spoil


def found_in(tree: Path, sockets: int = 0) -> Zones:
    """The zones of a tree."""
    return find_zones(tree / "powercap/intel-rapl", sockets)


def zones_of(tree: Path, sockets: int = 0) -> dict[str, list[tuple[str, int]]]:
    """The directories and sockets of a tree's zones, by domain."""
    return {
        domain: [(zone.energy_file.parent.name, zone.socket) for zone in zones]
        for domain, zones in found_in(tree, sockets).by_domain.items()
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
    found = found_in(powercap.build(tmp_path)).by_domain
    assert found["dram"][0].range_j == pytest.approx(262_143.32885)


@pytest.mark.parametrize("how", [*SPOILT, "0\n", "-1\n", "1000\n", "262143\n", "many\n"])
def test_a_range_that_cannot_be_is_none_and_takes_nothing_from_the_others(
    tmp_path: Path, how: str
) -> None:
    tree = powercap.build(tmp_path, packages=2)
    spoil(powercap.counter(tree, 1).with_name("max_energy_range_uj"), how)
    found = found_in(tree, 2).by_domain
    assert set(found) == {"package", "core", "dram", "psys"}
    assert [zone.range_j is None for zone in found["package"]] == [False, True]


@pytest.mark.parametrize(("range_uj", "value_uj"), [(1, 0), (10, 5), (1_000_000, 0)])
def test_a_range_that_is_turned_between_two_readings_is_none(
    tmp_path: Path, range_uj: int, value_uj: int
) -> None:
    tree = powercap.build(tmp_path)
    for counter in (powercap.counter(tree, 0, 1), powercap.counter(tree, 1)):
        powercap.write_uj(counter, value_uj)
        counter.with_name("max_energy_range_uj").write_text(f"{range_uj}\n")
    found = found_in(tree).by_domain
    told = {domain: zone.range_j for domain, (zone,) in found.items()}
    assert (told["dram"], told["psys"]) == (None, None)
    assert told["package"] == told["core"] == pytest.approx(262_143.32885)


def test_platforms_that_may_overlap_are_neither_added_up_nor_chosen_from(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, packages=2, inner=())
    small_files.write(
        powercap.counter(tree, 3).parent,
        name="psys-1\n",
        energy_uj="5\n",
        max_energy_range_uj="262143328850\n",
    )
    found = found_in(tree, 2)
    assert set(found.by_domain) == {"package"}
    assert "psys, psys-1 may each be" in found.lost["psys"]


def test_a_platform_is_told_by_whatever_number(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, inner=())
    powercap.counter(tree, 1).with_name("name").write_text("psys-1\n")
    assert zones_of(tree)["psys"] == [("intel-rapl:1", 0)]


def test_several_dies_of_a_package_are_counted_each(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, packages=2, inner=("dram",))
    for number in (0, 1):
        name = powercap.counter(tree, number).with_name("name")
        name.write_text(f"package-0-die-{number}\n")
    assert zones_of(tree, 1) == {
        "package": [("intel-rapl:0", 0), ("intel-rapl:1", 0)],
        "dram": [("intel-rapl:0:0", 0), ("intel-rapl:1:0", 0)],
        "psys": [("intel-rapl:2", 0)],
    }


def test_without_a_package_the_platform_is_told_all_the_same(tmp_path: Path) -> None:
    found = found_in(powercap.build(tmp_path, packages=0))
    assert set(found.by_domain) == {"psys"}
    assert found.lost["package"] == "this machine shows no package counter"


@pytest.mark.parametrize("how", SPOILT)
def test_a_part_without_a_name_takes_only_its_own_domain(tmp_path: Path, how: str) -> None:
    tree = powercap.build(tmp_path, inner=("core", "uncore", "dram"))
    spoil(powercap.counter(tree, 0, 1).with_name("name"), how)
    found = found_in(tree, 1)
    assert set(found.by_domain) == {"package", "core", "dram", "psys"}
    assert "intel-rapl:0:1 tells no name" in found.lost["uncore"]


@pytest.mark.parametrize("how", SPOILT)
def test_a_nameless_zone_is_no_package_where_every_socket_has_one(tmp_path: Path, how: str) -> None:
    tree = powercap.build(tmp_path, packages=2)
    spoil(powercap.counter(tree, 2).with_name("name"), how)
    assert set(zones_of(tree, 2)) == {"package", "core", "dram"}
    assert "intel-rapl:2 tells no name" in found_in(tree, 2).lost["psys"]


@pytest.mark.parametrize(
    ("sockets", "told"),
    [(2, "2 processor sockets are on, and only package-0"), (0, "intel-rapl:1 tells no name")],
)
def test_packages_that_may_be_too_few_are_not_added_up(
    tmp_path: Path, sockets: int, told: str
) -> None:
    tree = powercap.build(tmp_path, packages=2)
    powercap.counter(tree, 1).with_name("name").unlink()
    found = found_in(tree, sockets)
    assert set(found.by_domain) == {"psys"}
    assert all(told in found.lost[domain] for domain in ("package", "core", "dram"))


def test_a_package_that_is_shown_twice_counts_once(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, packages=2, inner=("core",))
    powercap.counter(tree, 1).with_name("name").write_text("package-0\n")
    mmio = tree / "powercap/intel-rapl-mmio/intel-rapl-mmio:0"
    small_files.write(mmio, name="package-0\n", energy_uj="5\n", max_energy_range_uj="9\n")
    assert zones_of(tree, 1)["package"] == [("intel-rapl:0", 0)]


def test_the_order_of_zones_is_that_of_their_numbers(tmp_path: Path) -> None:
    found = zones_of(powercap.build(tmp_path, packages=11, inner=()), 11)
    assert found["package"] == [(f"intel-rapl:{number}", number) for number in range(11)]


def test_what_is_no_zone_is_passed_over(tmp_path: Path) -> None:
    tree = powercap.build(tmp_path, inner=())
    for name in ("intel-rapl:x", "intel-rapl-mmio:0", "enabled", "power", "intel-rapl:0:"):
        (tree / "powercap/intel-rapl" / name).mkdir()
    assert set(zones_of(tree)) == {"package", "psys"}
