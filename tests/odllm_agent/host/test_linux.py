"""Linux's files, as bytes captured from a virtual machine and as the kernel documents them."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from odllm_agent.files.small_files import cpu_list, read_cpus, read_word
from odllm_agent.host import linux
from odllm_agent.host.linux import Sensors
from tests.power_supplies import OFF, USB_ON, battery, build
from tests.small_files import SPOILT, spoil, write

STAT = """cpu  89286 12691 8954 153172 308 5 79 63 400 40
cpu0 41462 6389 3736 80571 26 0 17 26 0 0
intr 1 2 3
"""
VMSTAT = "nr_free_pages 5200000\npswpin 7\npswpout 35\nthp_swpout 9\npswpin_hidden 1\n"
CPUINFO = """processor\t: 0
model name\t: AMD EPYC
flags\t\t: fpu sse4_2 x2apic hypervisor lahf_lm
"""


def test_available_memory_is_read_as_the_kernel_writes_it() -> None:
    meminfo = "MemTotal:       24689764 kB\nMemFree:  1000 kB\nMemAvailable:   23456789 kB\n"
    assert linux.mem_available_bytes(meminfo) == 23_456_789 * 1024
    with pytest.raises(LookupError, match="MemAvailable"):
        linux.mem_available_bytes("MemTotal: 1 kB\n")


def test_busy_time_leaves_out_idle_and_waiting_and_counts_guests_once() -> None:
    assert linux.busy_ticks(STAT) == 89286 + 12691 + 8954 + 5 + 79 + 63


def test_swapped_pages_go_in_and_out() -> None:
    assert linux.swapped_pages(VMSTAT) == 42


def test_a_processor_is_known_by_its_name() -> None:
    assert linux.cpu_name(CPUINFO) == "AMD EPYC"
    assert linux.cpu_name("processor\t: 0\nBogoMIPS\t: 50.00\n") is None


def test_an_arm_processor_is_known_by_the_numbers_of_each_kind_of_core() -> None:
    little, big = (
        f"processor\t: {cpu}\nCPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: {part}\n\n"
        for cpu, part in enumerate(("0xd05", "0xd0b"))
    )

    assert linux.cpu_name(little + little) == "Arm implementer 0x41 part 0xd05"
    assert linux.cpu_name(little + big) == (
        "Arm implementer 0x41 part 0xd05 and implementer 0x41 part 0xd0b"
    )


def test_a_hypervisor_shows_in_the_processors_flags() -> None:
    assert linux.is_virtual(CPUINFO)
    assert not linux.is_virtual(CPUINFO.replace(" hypervisor", ""))


def test_cores_are_counted_by_their_siblings(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        write(tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology", thread_siblings_list=siblings)
    assert linux.physical_cores([0, 1, 2, 3], tmp_path) == 2
    assert linux.physical_cores([0, 2], tmp_path) == 1
    assert linux.physical_cores([9], tmp_path) == 0


def test_a_cpu_that_is_switched_off_is_no_core_and_keeps_none_from_being_counted(
    tmp_path: Path,
) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu in (0, 1):
        write(cpus / f"cpu{cpu}", topology__thread_siblings_list=f"{cpu}\n", online="1\n")
    for cpu in (2, 3):
        write(cpus / f"cpu{cpu}", online="0\n")
    assert linux.physical_cores([0, 1, 2, 3], tmp_path) == 2


@pytest.mark.parametrize(
    ("present", "online", "told"),
    [("0-7\n", "0-3\n", (8, 4)), ("0-1\n", "0-1\n", (2, 2)), (None, None, (None, None))],
)
def test_cpus_that_are_there_are_counted_apart_from_those_that_are_on(
    tmp_path: Path, present: str | None, online: str | None, told: tuple[int | None, int | None]
) -> None:
    for name, text in (("present", present), ("online", online)):
        if text is not None:
            write(tmp_path / "sys/devices/system/cpu", **{name: text})
    assert (linux.present_cpus(tmp_path), linux.online_cpus(tmp_path)) == told


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8\n", (0, 1, 2, 3, 8)),
        ("5", (5,)),
        ("0,2-3", (0, 2, 3)),
        ("0, 2-3", (0, 2, 3)),
        ("\n", ()),
    ],
)
def test_lists_of_cpus_are_read_as_the_kernel_writes_them(text: str, cpus: tuple[int, ...]) -> None:
    assert cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["0-", "-3", "0-3;5", "all", "0-99999999999", "0,,1", "1 2"])
def test_what_is_no_list_of_cpus_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="no list of CPUs"):
        cpu_list(text)
    cpus = write(tmp_path / "sys/devices/system/cpu", online=text, present="0-3\n")
    assert (linux.online_cpus(tmp_path), linux.present_cpus(tmp_path)) == (None, 4)
    assert read_cpus(cpus / "online") == ()


@pytest.mark.parametrize("how", [*SPOILT, "0-99999999999\n", "many\n"])
def test_a_core_whose_siblings_are_not_told_keeps_none_from_being_counted(
    tmp_path: Path, how: str
) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu in (0, 1, 2):
        write(cpus / f"cpu{cpu}", topology__thread_siblings_list=f"{cpu}\n")
    spoil(cpus / "cpu2/topology/thread_siblings_list", how)
    assert linux.physical_cores([0, 1, 2], tmp_path) == 2


@pytest.mark.parametrize("how", [*SPOILT, "many\n", "-1\n", "65535\n", f"{2**63}\n"])
def test_sockets_are_those_of_cpus_that_are_on(tmp_path: Path, how: str) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu, package in enumerate((0, 0, 3, 7, 65535)):
        write(cpus / f"cpu{cpu}", topology__physical_package_id=f"{package}\n", online="1\n")
    write(cpus / "cpu4", online="0\n")
    spoil(cpus / "cpu3/topology/physical_package_id", how)
    assert linux.sockets(tmp_path) == {0, 3}


@pytest.mark.parametrize("how", [*SPOILT, "0-3;\n"])
def test_a_counter_that_does_not_tell_its_cores_leaves_their_capacities(
    tmp_path: Path, how: str
) -> None:
    devices = write(tmp_path / "sys/devices", cpu_core__cpus="0-1\n", cpu_atom__cpus="2-3\n")
    for cpu, capacity in enumerate((1024, 1024, 512, 512)):
        write(devices / f"system/cpu/cpu{cpu}", cpu_capacity=f"{capacity}\n")
    spoil(devices / "cpu_atom/cpus", how)
    assert linux.core_types(tmp_path) == {"performance": (0, 1), "efficiency": (2, 3)}


@pytest.mark.parametrize("how", [*SPOILT, "0\n", "-5\n", "1000000\n", "much\n"])
def test_a_capacity_that_cannot_be_makes_no_type_of_core(tmp_path: Path, how: str) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu in range(4):
        write(cpus / f"cpu{cpu}", cpu_capacity="1024\n")
    write(cpus, cpu0x__cpu_capacity="1\n", cpuidle__cpu_capacity="2\n")
    spoil(cpus / "cpu3/cpu_capacity", how)
    assert linux.core_types(tmp_path) == {}


def test_intels_types_of_cores_are_those_of_its_counters(tmp_path: Path) -> None:
    write(tmp_path / "sys/devices", cpu_core__cpus="0-3\n", cpu_atom__cpus="4-11\n")
    found = linux.core_types(tmp_path)
    assert found == {"performance": (0, 1, 2, 3), "efficiency": tuple(range(4, 12))}


def test_other_types_are_told_by_what_each_core_can_do(tmp_path: Path) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu, capacity in enumerate((446, 446, 871, 1024)):
        write(cpus / f"cpu{cpu}", cpu_capacity=f"{capacity}\n")
    found = linux.core_types(tmp_path)
    assert found == {"performance": (2, 3), "efficiency": (0, 1)}
    for cpu in range(4):
        write(cpus / f"cpu{cpu}", cpu_capacity="1024\n")
    assert linux.core_types(tmp_path) == {}


def test_a_processor_with_one_counter_for_all_has_cores_of_one_type(tmp_path: Path) -> None:
    write(tmp_path / "sys/devices", cpu__type="4\n")
    assert linux.core_types(tmp_path) == {}


def test_a_device_without_sensors_tells_nothing_rather_than_zero(tmp_path: Path) -> None:
    sensors = Sensors.find(tmp_path)
    assert read_word(sensors.governor) is None
    assert read_word(sensors.power_profile) is None
    assert sensors.frequencies_hz() == []
    assert sensors.battery_percent() is None
    assert sensors.temperature_c() is None
    assert sensors.throttle_count() is None
    assert sensors.on_battery() is None


@pytest.mark.parametrize(
    "how", [*SPOILT, "0\n", "-1\n", "1\n", "3000\n", f"{2**31}\n", "<unknown>\n"]
)
def test_a_cpu_that_does_not_tell_its_frequency_hides_no_other(tmp_path: Path, how: str) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu, ghz in ((0, 1), (1, 2), (2, 3), (10, 4)):
        write(cpus / f"cpu{cpu}", cpufreq__scaling_cur_freq=f"{ghz}000000\n")
    spoil(cpus / "cpu1/cpufreq/scaling_cur_freq", how)
    assert Sensors.find(tmp_path).frequencies_hz() == [1.0e9, 3.0e9, 4.0e9]


def test_a_cpu_that_is_off_has_no_frequency_whatever_its_policy_tells(tmp_path: Path) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu, online, khz in ((0, None, 3_000_000), (1, "0\n", 800_000), (2, "1\n", 2_000_000)):
        write(cpus / f"cpu{cpu}", cpufreq__scaling_cur_freq=f"{khz}\n")
        if online:
            write(cpus / f"cpu{cpu}", online=online)
    sensors = Sensors.find(tmp_path)
    assert sensors.frequencies_hz() == [3.0e9, 2.0e9]
    (cpus / "cpu1/online").write_text("1\n")
    assert sensors.frequencies_hz() == [3.0e9, 0.8e9, 2.0e9]


@pytest.mark.parametrize("how", SPOILT)
def test_the_first_cpu_that_tells_stands_for_one_that_is_off(tmp_path: Path, how: str) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu, governor in ((0, "none"), (2, "powersave"), (10, "performance")):
        write(
            cpus / f"cpu{cpu}/cpufreq",
            scaling_governor=f"{governor}\n",
            energy_performance_preference=f"{governor}\n",
        )
    spoil(cpus / "cpu0/cpufreq/scaling_governor", how)
    spoil(cpus / "cpu0/cpufreq/energy_performance_preference", how)
    sensors = Sensors.find(tmp_path)
    assert read_word(sensors.governor) == "powersave"
    assert read_word(sensors.energy_preference) == "powersave"


def test_every_cpu_tells_its_frequency_and_the_first_what_it_is_told_to_do(tmp_path: Path) -> None:
    for cpu, khz in enumerate((1_000_000, 3_000_000)):
        write(
            tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cpufreq",
            scaling_governor="powersave\n",
            scaling_cur_freq=f"{khz}\n",
            energy_performance_preference="balance_performance\n",
        )
    write(tmp_path / "sys/firmware/acpi", platform_profile="low-power\n")
    sensors = Sensors.find(tmp_path)
    assert sensors.frequencies_hz() == [1.0e9, 3.0e9]
    assert read_word(sensors.governor) == "powersave"
    assert read_word(sensors.energy_preference) == "balance_performance"
    assert read_word(sensors.power_profile) == "low-power"


def test_the_temperature_is_the_cpus_and_not_the_disks(tmp_path: Path) -> None:
    write(
        tmp_path / "sys/class/hwmon",
        hwmon0__name="nvme\n",
        hwmon0__temp1_input="99000\n",
        hwmon1__name="coretemp\n",
        hwmon1__temp1_label="Package id 0\n",
        hwmon1__temp1_input="71000\n",
        hwmon1__temp2_label="Core 0\n",
        hwmon1__temp2_input="70000\n",
    )
    sensors = Sensors.find(tmp_path)
    assert sensors.temperature_c() == 71.0


def test_amds_own_die_sensor_is_preferred_to_the_one_with_an_offset(tmp_path: Path) -> None:
    write(
        tmp_path / "sys/class/hwmon/hwmon3",
        name="k10temp\n",
        temp1_label="Tctl\n",
        temp1_input="90000\n",
        temp2_label="Tdie\n",
        temp2_input="63125\n",
    )
    assert Sensors.find(tmp_path).temperature_c() == 63.125


def test_thermal_zones_stand_in_for_a_missing_chip(tmp_path: Path) -> None:
    write(
        tmp_path / "sys/class/thermal",
        thermal_zone0__type="acpitz\n",
        thermal_zone0__temp="27800\n",
        thermal_zone1__type="x86_pkg_temp\n",
        thermal_zone1__temp="55000\n",
    )
    assert Sensors.find(tmp_path).temperature_c() == 55.0


def test_a_sensor_that_goes_away_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/thermal/thermal_zone0", type="x86_pkg_temp\n", temp="55000\n")
    sensors = Sensors.find(tmp_path)
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").unlink()
    assert sensors.temperature_c() is None


def test_throttle_events_are_counted_once_per_core_and_package(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        write(
            tmp_path / f"sys/devices/system/cpu/cpu{cpu}",
            topology__thread_siblings_list=siblings,
            topology__physical_package_id="0\n",
            thermal_throttle__core_throttle_count=f"{10 if siblings == '0,2' else 1}\n",
            thermal_throttle__package_throttle_count="100\n",
        )
    assert Sensors.find(tmp_path).throttle_count() == 111


def test_the_kernels_files_are_asked_and_not_psutil(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, {"BAT0": battery("Charging", capacity=80), "AC": OFF, "ucsi": USB_ON})
    monkeypatch.setattr(linux, "_sensors", lambda: Sensors.find(tmp_path))
    discharging = SimpleNamespace(power_plugged=False, percent=3.0)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: discharging)
    told = linux.read_state()
    assert (told.on_battery, told.battery_percent) == (False, 80.0)
