"""Joining a real head on loopback, and coming back to it."""

import dataclasses
import platform
import signal
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from odllm_agent.cli import main
from odllm_agent.doctor.device import device_id
from odllm_agent.fleet import rejoining
from odllm_agent.host.state import cpus
from odllm_agent.host.versions import Versions
from odllm_controller.head import starting
from odllm_controller.head.head import Head
from odllm_controller.head.token import token_file
from tests import family
from tests.joining import (
    PATIENCE_S,
    Join,
    asked,
    eventually,
    fleet_in,
    join,
    say_another_patch,
)

pytestmark = pytest.mark.ray

# A node whose head is gone ends itself sooner than it would for people.
IMPATIENT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "3"}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """A head that the tests of this module share; each device leaves it again."""
    with fleet_in(tmp_path_factory.mktemp("fleet")) as address:
        yield starting.start(address)


def test_a_device_comes_back_after_its_raylet_was_killed_and_leaves_nothing(
    head: Head, tmp_path: Path
) -> None:
    with join(tmp_path, head.address, head.token_file, "--name", "lab-1") as device:
        device.says("joined the fleet")
        assert asked(head).device_ids == (device_id(),)
        lost = device.node()
        assert any(family.command(each).startswith("ray::") for each in lost)
        device.raylet().kill()
        device.says("joined the fleet", 2)
        assert not any(map(family.lives, lost))
        # This one is ended in order, for which Ray itself would wait.
        device.raylet().terminate()
        device.says("joined the fleet", 3)
        node = device.node()
        assert device.leave() == 0
        assert not any(map(family.lives, node))
        # Ray takes some seconds to believe that a node which was killed is gone.
        eventually(lambda: not asked(head).device_ids)
        assert device.said().endswith("left the fleet\n")
        # What it offers, and a line for each change.
        assert len(device.said().splitlines()) == 7
        kinds = [str(entry.event.kind) for entry in device.journal() if entry.event]
        assert kinds == ["joined", "left", "joined", "left", "joined", "left"]


def test_a_node_ends_with_the_join_that_was_killed_and_the_next_one_joins(
    head: Head, tmp_path: Path
) -> None:
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet")
        node = device.node()
        device.process.kill()
        eventually(lambda: not any(map(family.lives, node)))
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet", 2)
        device.process.send_signal(signal.SIGINT)
        assert device.process.wait(PATIENCE_S) == 0


def test_a_device_joins_once_and_a_part_of_it_beside_it(head: Head, tmp_path: Path) -> None:
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet")
        with join(tmp_path, head.address, head.token_file) as twin:
            assert twin.process.wait(PATIENCE_S) == 1
            assert "has joined a fleet already" in twin.said()
        first = cpus()[0]
        part = ("--name", "part", "--cpus", str(first))
        with join(tmp_path / "part", head.address, head.token_file, *part) as slice_:
            slice_.says("joined the fleet")
            assert {device_id(), device_id("part")} <= set(asked(head).device_ids)
            (state,) = (tmp_path / "part" / "state").glob("virtual-*")
            node = Join(slice_.process, state, slice_.log).node()
            assert {tuple(each.cpu_affinity() or ()) for each in node} == {(first,)}
            assert slice_.leave() == 0
        assert device.leave() == 0


def test_a_wrong_token_is_refused(head: Head, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("0" * 64)
    with join(tmp_path, head.address, wrong) as device:
        assert device.process.wait(PATIENCE_S) == 1
        assert "refuses the token" in device.said()
        assert [entry.event.kind for entry in device.journal() if entry.event] == ["refused"]


def test_another_version_is_refused_with_both(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Versions, "here", lambda: Versions("2.0", "3.11", "0.1.0"))
    monkeypatch.setenv("ODLLM_STATE_DIR", str(tmp_path))
    assert main(["join", head.address, "--token-file", str(head.token_file)]) == 1
    told = capsys.readouterr().err
    assert f"Ray is 2.0 here and {metadata.version('ray')} there" in told
    assert f"install Ray {metadata.version('ray')}, Python" in told


def test_another_python_is_refused_with_both_before_a_node_is_started(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = dataclasses.replace(Versions.here(), python="3.10.1")
    monkeypatch.setattr(Versions, "here", lambda: here)
    monkeypatch.setattr(rejoining, "NodeProcess", lambda *_: pytest.fail("it started one"))
    monkeypatch.setenv("ODLLM_STATE_DIR", str(tmp_path))
    assert main(["join", head.address, "--token-file", str(head.token_file)]) == 1
    told = capsys.readouterr().err
    assert f"Python is 3.10.1 here and {platform.python_version()} there" in told
    assert "`odllm-agent run`, a device is measured with any Python" in told


def test_a_device_with_another_patch_of_python_joins(tmp_path: Path) -> None:
    with fleet_in(tmp_path / "fleet") as address:
        head = starting.start(address)
        say_another_patch(head)
        with join(tmp_path, head.address, head.token_file) as device:
            device.says("joined the fleet")
            assert asked(head).device_ids == (device_id(),)
            assert device.leave() == 0


def test_a_device_waits_for_its_head_and_finds_the_next_one(tmp_path: Path) -> None:
    with fleet_in(tmp_path / "fleet") as address:
        token = token_file(tmp_path / "fleet")
        with join(tmp_path, str(address), token, variables=IMPATIENT) as device:
            device.says("waiting")
            first = starting.start(address)
            device.says("joined the fleet")
            psutil.Process(first.pid).kill()
            second = starting.start(address)
            device.says("joined the fleet", 2)
            assert asked(second).device_ids == (device_id(),)
