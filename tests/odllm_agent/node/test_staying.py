"""Joining a real head on loopback, and coming back to it."""

import contextlib
import signal
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from odllm_agent.address import Address
from odllm_agent.device import device_id
from odllm_controller.fleet import starting
from odllm_controller.fleet.head import Head
from tests.joining import asked, eventually, free_port, join

pytestmark = pytest.mark.ray

# A node whose head is gone ends itself sooner than it would for people.
IMPATIENT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "3"}


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """The address of a head that may be started, and that is down afterwards."""
    monkeypatch.setenv("ODLLM_FLEET_DIR", str(tmp_path / "fleet"))
    yield Address("127.0.0.1", free_port())
    with contextlib.suppress(AttributeError):
        Head.last().end()  # type: ignore[union-attr]


def test_a_device_joins_comes_back_after_its_raylet_was_killed_and_leaves_nothing(
    fleet: Address, tmp_path: Path
) -> None:
    head = starting.start(fleet)
    with join(tmp_path, head.address, head.token_file, "--name", "lab-1") as device:
        device.says("joined the fleet")
        assert asked(head).device_ids == (device_id(),)
        lost = device.node()
        device.raylet().kill()
        device.says("joined the fleet", 2)
        assert not any(map(psutil.Process.is_running, lost))
        # It was ended in order, for which Ray itself would wait.
        device.raylet().terminate()
        device.says("joined the fleet", 3)
        node = device.node()
        assert device.leave() == 0
        assert not any(map(psutil.Process.is_running, node))
        assert not asked(head).device_ids
        assert device.said().endswith("left the fleet\n")
        # One line for what it offers, and one for each change.
        assert len(device.said().splitlines()) == 7


def test_a_device_waits_for_its_head_and_finds_the_next_one(fleet: Address, tmp_path: Path) -> None:
    first = starting.start(fleet)
    first.end()
    with join(tmp_path, str(fleet), first.token_file, variables=IMPATIENT) as device:
        device.says("waiting")
        second = starting.start(fleet)
        device.says("joined the fleet")
        psutil.Process(second.pid).kill()
        third = starting.start(fleet)
        device.says("joined the fleet", 2)
        assert asked(third).device_ids == (device_id(),)


def test_a_node_ends_with_the_join_that_was_killed(fleet: Address, tmp_path: Path) -> None:
    head = starting.start(fleet)
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet")
        node = device.node()
        device.process.kill()
        eventually(lambda: not any(each.is_running() and _lives(each) for each in node))


def test_a_device_joins_once_and_parts_of_it_beside_it(fleet: Address, tmp_path: Path) -> None:
    head = starting.start(fleet)
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet")
        with join(tmp_path, head.address, head.token_file) as twin:
            assert twin.process.wait(60) == 1
            assert "has joined a fleet already" in twin.said()
        part = ("--name", "part", "--cpus", "0")
        with join(tmp_path / "part", head.address, head.token_file, *part) as slice_:
            slice_.says("joined the fleet")
            assert set(asked(head).device_ids) == {device_id(), device_id("part")}


def test_another_version_is_refused_with_both(
    fleet: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(metadata, "version", lambda _: "9.9.9")
        head = starting.start(fleet)
    with join(tmp_path, head.address, head.token_file) as device:
        assert device.process.wait(60) == 1
        assert "ODLLM is 0.1.0 here and 9.9.9 there" in device.said()
        assert "install the same versions" in device.said()


def test_a_wrong_token_is_refused(fleet: Address, tmp_path: Path) -> None:
    head = starting.start(fleet)
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("0" * 64)
    with join(tmp_path, head.address, wrong) as device:
        assert device.process.wait(60) == 1
        assert "refuses the token" in device.said()
    assert not asked(head).device_ids


def test_ctrl_c_leaves_in_order(fleet: Address, tmp_path: Path) -> None:
    head = starting.start(fleet)
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet")
        device.process.send_signal(signal.SIGINT)
        assert device.process.wait(60) == 0
        assert not asked(head).device_ids


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
