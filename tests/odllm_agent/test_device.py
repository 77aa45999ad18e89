import hashlib
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent import device, linux
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Device, DeviceKind, DeviceState, from_json, to_json
from odllm_agent.errors import UsageError
from tests.support import state


def flags(wall_s: float = 1.0, logical_cores: int = 2, **after: object) -> tuple[str, ...]:
    """What a repeat is flagged with whose state changed from a quiet one as told."""
    return device.flags(state(), state(**after), wall_s, logical_cores)


def test_a_quiet_repeat_is_not_flagged() -> None:
    assert flags() == ()


def test_a_device_that_tells_nothing_is_not_flagged() -> None:
    silent = state(temperature_c=None, throttle_count=None, on_battery=None)
    assert device.flags(silent, silent, 1.0, 2) == ()


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"throttle_count": 1}, "throttled"),
        ({"temperature_c": 95.0}, "hot"),
        ({"on_battery": True}, "on_battery"),
        ({"swapped_bytes": 4096}, "swapped"),
        ({"busy_s": 101.0}, "busy"),
    ],
)
def test_each_disturbance_has_its_flag(change: dict[str, object], flag: str) -> None:
    assert device.flags(state(), state(**change), 1.0, 2) == (flag,)


def test_what_held_before_the_repeat_counts_too() -> None:
    before = state(temperature_c=99.0, on_battery=True)
    assert device.flags(before, state(), 1.0, 2) == ("hot", "on_battery")


def test_a_counter_that_appears_late_is_no_throttling() -> None:
    assert device.flags(state(throttle_count=None), state(throttle_count=7), 1.0, 2) == ()


def test_own_work_is_not_other_load() -> None:
    assert flags(busy_s=102.0, own_cpu_s=3.0) == ()


@pytest.mark.parametrize("ticks", [-2, -1, 0, 1, 2])
def test_a_tick_more_or_less_does_not_make_a_short_repeat_busy(ticks: int) -> None:
    assert flags(wall_s=0.02, busy_s=100.04 + ticks * 0.01, own_cpu_s=1.04) == ()


@pytest.mark.parametrize("logical_cores", [2, 8, 32])
def test_one_core_taken_by_others_is_busy_on_any_device(logical_cores: int) -> None:
    assert flags(wall_s=2.0, logical_cores=logical_cores, busy_s=102.0) == ("busy",)


@given(st.floats(0, 100), st.integers(1, 256))
def test_a_share_of_a_tenth_of_a_core_is_never_busy(wall_s: float, logical_cores: int) -> None:
    before = state(busy_s=0.0, own_cpu_s=0.0)
    after = state(busy_s=0.1 * wall_s, own_cpu_s=0.0)
    assert device.flags(before, after, wall_s, logical_cores) == ()


def test_the_device_describes_itself() -> None:
    described = device.describe("lab-1")
    assert described.name == "lab-1"
    assert described.kind is DeviceKind.REAL
    assert 1 <= described.physical_cores <= described.logical_cores
    assert described.ram_bytes == psutil.virtual_memory().total
    assert described.cpu
    assert described.engines["llama_cpp"]
    assert [meter.name for meter in described.meters] == ["rapl"]
    assert from_json(Device, to_json(described)) == described


def test_the_id_stays_and_does_not_give_the_machines_own_away() -> None:
    first, second = device.describe("a"), device.describe("b")
    assert first.id == second.id
    machine_id = linux.read_text(Path("/etc/machine-id"))
    if machine_id:
        assert first.id not in hashlib.sha256(machine_id.strip().encode()).hexdigest()
        assert machine_id.strip() not in to_json(first)


def test_another_machine_has_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    here = device.describe().id
    monkeypatch.setattr(device, "_system_machine_id", lambda: "0123456789abcdef")
    assert device.describe().id != here


@pytest.mark.parametrize("told", [None, "", "uninitialized\n"])
def test_without_a_machine_id_the_network_card_names_the_device(
    monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    monkeypatch.setattr(device, "_system_machine_id", lambda: told)
    monkeypatch.setattr(uuid, "getnode", lambda: 0x02_42_AC_11_00_02)
    assert device._machine_id() == "0242ac110002"


def test_a_network_card_that_python_made_up_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_system_machine_id", lambda: None)
    monkeypatch.setattr(uuid, "getnode", lambda: 0x01_42_AC_11_00_02)
    monkeypatch.setattr(socket, "gethostname", lambda: "lab-1")
    assert device._machine_id() == "lab-1"


def test_a_macs_id_is_read_apart_from_what_changes() -> None:
    ioreg = (
        "+-o J413AP  <class IOPlatformExpertDevice, registered, busy 0 (99 ms), retain 42>\n"
        '      "IOPlatformSerialNumber" = "C02XXXXXXXXX"\n'
        '      "IOPlatformUUID" = "564D8C36-1F2B-4A57-9C5E-0123456789AB"\n'
    )
    assert device.mac_uuid(ioreg) == "564D8C36-1F2B-4A57-9C5E-0123456789AB"
    assert device.mac_uuid("") is None


def test_an_unknown_meter_is_refused() -> None:
    with pytest.raises(UsageError, match="no power meter 'wattson'"):
        device.describe(meters=("wattson",))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_only_cores_that_the_process_may_use_are_counted() -> None:
    allowed = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{allowed}])\n"
    code += "from odllm_agent import device; d = device.describe()\n"
    code += "print(d.logical_cores, d.physical_cores)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_the_state_follows_the_work_of_this_process() -> None:
    before, start = device.read_state(), monotonic_ns()
    while time.process_time() < before.own_cpu_s + 0.3:
        pass
    after, wall_s = device.read_state(), seconds_since(start)
    own_s = after.own_cpu_s - before.own_cpu_s
    cores = os.cpu_count() or 1
    assert 0.3 <= own_s <= 0.35
    assert own_s - 0.05 <= after.busy_s - before.busy_s <= cores * (wall_s + 0.05)


def test_the_work_of_another_process_makes_a_repeat_busy() -> None:
    code = "import time\nend = time.monotonic() + 0.8\nwhile time.monotonic() < end: pass"
    before, start = device.read_state(), monotonic_ns()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = device.read_state()
    assert "busy" in device.flags(before, after, seconds_since(start), os.cpu_count() or 1)


def test_a_state_is_cheap_to_read() -> None:
    device.read_state()
    costs = []
    for _ in range(30):
        start = monotonic_ns()
        device.read_state()
        costs.append(seconds_since(start))
    # A fifth of a millisecond here; the bound leaves room for laptops with many sensors.
    assert statistics.median(costs) < 0.002


def test_every_system_gives_a_state() -> None:
    told = device._read_by_psutil()
    here = device.read_state()
    assert isinstance(told, DeviceState)
    assert told.busy_s == pytest.approx(here.busy_s, rel=0.25)
    assert told.on_battery == here.on_battery


def test_a_memory_limit_binds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    group = linux.MemoryGroup(tmp_path / "max", tmp_path / "current", tmp_path / "stat")
    for path, text in ((group.limit, "5000"), (group.usage, "3000"), (group.stat, "")):
        path.write_text(text)
    monkeypatch.setattr(device, "_memory_groups", lambda: (group,))
    assert device.available_bytes() == 2000


def test_available_memory_is_the_systems_where_nothing_binds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "_memory_groups", lambda: ())
    assert device.available_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.1)


def test_flags_do_not_depend_on_their_order_of_happening() -> None:
    after = replace(state(temperature_c=99.0), throttle_count=3, swapped_bytes=1, busy_s=200.0)
    assert device.flags(state(), after, 1.0, 2) == ("busy", "hot", "swapped", "throttled")
