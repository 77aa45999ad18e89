"""Temperatures and throttle counters, of which some files tell nothing or what cannot be."""

from pathlib import Path

import pytest

from odllm_agent.host import heat
from odllm_agent.host.heat import Thermometers
from tests.small_files import SPOILT, spoil, write

IMPOSSIBLE = (
    "-128000\n",
    "0\n",
    "55\n",
    "3182\n",
    "450\n",
    "127500\n",
    "65261850\n",
    "warm\n",
    f"{2**63}\n",
)


@pytest.mark.parametrize("how", [*SPOILT, *IMPOSSIBLE])
def test_the_cores_tell_if_their_package_does_not(tmp_path: Path, how: str) -> None:
    chip = write(
        tmp_path / "hwmon/hwmon0",
        name="coretemp\n",
        temp1_label="Package id 0\n",
        temp1_input="71000\n",
        temp2_label="Core 0\n",
        temp2_input="68000\n",
        temp10_label="Core 8\n",
        temp10_input="69000\n",
    )
    assert Thermometers.find(tmp_path).temperature_c() == 71.0
    spoil(chip / "temp1_input", how)
    assert Thermometers.find(tmp_path).temperature_c() == 69.0


@pytest.mark.parametrize("how", [*SPOILT, *IMPOSSIBLE])
def test_a_sensor_that_does_not_tell_hides_no_other(tmp_path: Path, how: str) -> None:
    write(tmp_path / "hwmon/hwmon0", name="coretemp\n", temp1_input="61000\n")
    bad = write(tmp_path / "hwmon/hwmon1", name="coretemp\n", temp1_input="62000\n")
    write(tmp_path / "hwmon/hwmon10", name="k10temp\n", temp1_input="63000\n")
    spoil(bad / "temp1_input", how)
    assert Thermometers.find(tmp_path).temperature_c() == 63.0


@pytest.mark.parametrize("how", [*SPOILT, *IMPOSSIBLE])
def test_zones_stand_in_for_chips_that_do_not_tell(tmp_path: Path, how: str) -> None:
    chip = write(tmp_path / "hwmon/hwmon0", name="coretemp\n", temp1_input="61000\n")
    spoil(chip / "temp1_input", how)
    zones = write(
        tmp_path / "thermal",
        thermal_zone0__type="cpu-thermal\n",
        thermal_zone0__temp="58000\n",
        thermal_zone1__type="x86_pkg_temp\n",
        thermal_zone1__temp="57000\n",
        thermal_zone2__type="acpitz\n",
        thermal_zone2__temp="90000\n",
    )
    assert Thermometers.find(tmp_path).temperature_c() == 58.0
    spoil(zones / "thermal_zone0/temp", how)
    assert Thermometers.find(tmp_path).temperature_c() == 57.0


@pytest.mark.parametrize("how", [*SPOILT, *IMPOSSIBLE])
def test_the_sensor_with_an_offset_stands_in_for_the_die_where_nothing_else_does(
    tmp_path: Path, how: str
) -> None:
    chip = write(
        tmp_path / "hwmon/hwmon0",
        name="k10temp\n",
        temp1_label="Tctl\n",
        temp1_input="90000\n",
        temp2_label="Tdie\n",
        temp2_input="63125\n",
        temp3_label="Tccd1\n",
        temp3_input="62500\n",
    )
    assert Thermometers.find(tmp_path).temperature_c() == 63.125
    spoil(chip / "temp2_input", how)
    assert Thermometers.find(tmp_path).temperature_c() == 62.5
    spoil(chip / "temp3_input", how)
    assert Thermometers.find(tmp_path).temperature_c() == 90.0


@pytest.mark.parametrize(("fault", "told_c"), [("0\n", 99.0), ("1\n", 45.0), ("?\n", 99.0)])
def test_a_sensor_that_says_it_is_faulty_is_not_believed(
    tmp_path: Path, fault: str, told_c: float
) -> None:
    write(
        tmp_path / "hwmon/hwmon0",
        name="coretemp\n",
        temp1_label="Package id 0\n",
        temp1_input="99000\n",
        temp1_fault=fault,
        temp2_label="Core 0\n",
        temp2_input="45000\n",
    )
    assert Thermometers.find(tmp_path).temperature_c() == told_c


@pytest.mark.parametrize(("millidegrees", "celsius"), [("-12500", -12.5), ("125000", 125.0)])
def test_what_a_processor_can_have_is_told(
    tmp_path: Path, millidegrees: str, celsius: float
) -> None:
    write(tmp_path / "hwmon/hwmon0", name="coretemp\n", temp1_input=millidegrees)
    assert Thermometers.find(tmp_path).temperature_c() == celsius


def test_folders_that_are_none_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "hwmon", hwmon0="a file", hwmonitor__name="coretemp\n")
    (tmp_path / "hwmon/hwmon1").symlink_to("hwmon1")
    (tmp_path / "thermal").symlink_to("thermal")
    assert Thermometers.find(tmp_path).temperature_c() is None


def cpus(root: Path, *siblings: str | None, package: str | None = "0") -> list[Path]:
    """The folders of CPUs, each with its siblings and ten events of its core and its package."""
    found = []
    for number, listed in enumerate(siblings):
        cpu = root / f"cpu{number}"
        write(
            cpu,
            thermal_throttle__core_throttle_count="10\n",
            thermal_throttle__package_throttle_count="100\n",
        )
        if listed is not None:
            write(cpu, topology__thread_siblings_list=f"{listed}\n")
        if package is not None:
            write(cpu, topology__physical_package_id=f"{package}\n")
        found.append(cpu)
    return found


def count(folders: list[Path]) -> int | None:
    return heat.throttle_count(heat.throttle_counters(folders))


@pytest.mark.parametrize("how", [*SPOILT, "-1\n", "often\n", f"{2**63}\n"])
@pytest.mark.parametrize("of", ["core", "package"])
def test_a_sibling_tells_what_a_counter_does_not(tmp_path: Path, of: str, how: str) -> None:
    folders = cpus(tmp_path, "0-1", "0-1", "2-3", "2-3")
    spoil(folders[0] / f"thermal_throttle/{of}_throttle_count", how)
    assert count(folders) == 120


def test_a_processor_that_is_off_hides_no_events(tmp_path: Path) -> None:
    off = tmp_path / "cpu2"
    off.mkdir()
    assert count([*cpus(tmp_path, "0", "1"), off]) == 120
    assert count([off]) is None


@pytest.mark.parametrize("how", [*SPOILT, "???\n"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_processor_that_does_not_tell_its_core_is_of_the_one_that_names_it(
    tmp_path: Path, which: int, how: str
) -> None:
    folders = cpus(tmp_path, "0-1", "0-1", "2,3", "2,3")
    spoil(folders[which] / "topology/thread_siblings_list", how)
    assert count(folders) == 120


@pytest.mark.parametrize("listed", [None, "", "???"])
def test_a_processor_that_does_not_tell_its_core_is_one(tmp_path: Path, listed: str | None) -> None:
    assert count(cpus(tmp_path, listed, listed, package=None)) == 120


def test_a_processor_that_does_not_tell_its_package_is_part_of_those_that_do(
    tmp_path: Path,
) -> None:
    folders = cpus(tmp_path, "0", "1", "2")
    (folders[2] / "topology/physical_package_id").unlink()
    assert count(folders) == 130
