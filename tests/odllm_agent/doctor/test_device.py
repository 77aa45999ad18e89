import hashlib
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest

from odllm_agent.contract import Device, DeviceKind, from_json, to_json
from odllm_agent.doctor import device
from odllm_agent.errors import UsageError
from odllm_agent.files.small_files import read_text
from odllm_agent.host import cores, linux, state
from odllm_agent.host.control_groups import Quota


def test_the_device_describes_itself() -> None:
    described = device.describe("lab-1")
    assert described.name == "lab-1"
    assert described.kind is DeviceKind.REAL
    assert 1 <= described.physical_cores <= described.logical_cores
    assert described.logical_cores <= (described.online_cpus or described.logical_cores)
    assert described.ram_bytes == psutil.virtual_memory().total
    assert described.cpu
    assert described.engines["llama_cpp"]
    assert described.meters
    assert from_json(Device, to_json(described)) == described


def test_the_id_stays_and_does_not_give_the_machines_own_away() -> None:
    first, second = device.describe("a"), device.describe("b")
    assert first.id == second.id
    machine_id = read_text(Path("/etc/machine-id"))
    if machine_id:
        assert first.id not in hashlib.sha256(machine_id.strip().encode()).hexdigest()
        assert machine_id.strip() not in to_json(first)


def test_a_quota_of_the_control_groups_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "quota", lambda: Quota(1.5, Path("/sys/fs/cgroup")))
    assert device.describe().quota_cores == 1.5
    monkeypatch.setattr(state, "quota", lambda: None)
    assert device.describe().quota_cores is None


def test_cores_are_counted_by_type_where_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    types = {"performance": (0, 1, 2, 3), "efficiency": (4, 5)}
    monkeypatch.setattr(cores, "types", lambda: types)
    monkeypatch.setattr(linux, "physical_cores", lambda cpus: len(cpus) // 2)
    assert device.describe().core_types == {"performance": 2, "efficiency": 1}


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
    code += "from odllm_agent.doctor import device; d = device.describe()\n"
    code += "print(d.logical_cores, d.physical_cores)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]
