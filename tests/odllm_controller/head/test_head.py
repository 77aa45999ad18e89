"""A real head: up, found, down, and shut to whoever has no token."""

import dataclasses
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest

from odllm_agent.errors import DispatchError, JoinRefused
from odllm_agent.fleet.handshake import knock
from odllm_agent.host.versions import Versions
from odllm_agent.network.address import Address
from odllm_agent.network.ray_environment import child_environment
from odllm_agent.processes import tagged
from odllm_controller.head import starting
from odllm_controller.head.certificates import certificate
from odllm_controller.head.head import Head
from tests import family
from tests.joining import asked, eventually, fleet_in, join, say_another_patch

pytestmark = pytest.mark.ray

# A traceback may show this line, which must not look as if it had been run to its end.
DRIVER = (
    "import ray, sys; ray.init(address=sys.argv[1], logging_level='ERROR'); "
    "print('ENTERED'.lower())"
)

JOINING = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """A head that the tests of this module share."""
    with fleet_in(tmp_path_factory.mktemp("fleet")) as address:
        yield starting.start(address)


@pytest.fixture
def wrong_token(tmp_path: Path) -> Path:
    path = tmp_path / "wrong"
    path.touch(mode=0o600)
    path.write_text("0" * 64)
    return path


def test_a_head_is_found_and_listens_on_loopback_alone(head: Head) -> None:
    assert Head.load() == head
    listening = [
        ip_address(connection.laddr.ip)
        for process in tagged.marked(head.mark)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    # An IPv4 address may be written as one of IPv6.
    assert all((getattr(each, "ipv4_mapped", None) or each).is_loopback for each in listening)


def test_a_head_of_another_python_is_refused_with_both_before_ray_is_asked(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = dataclasses.replace(Versions.here(), python="3.10.1")
    monkeypatch.setattr(Versions, "here", lambda: here)
    with pytest.raises(DispatchError) as raised:
        Head.load()
    told = f"Python is 3.10.1 here and {platform.python_version()} there"
    assert raised.value.message.endswith(f"does not fit this command: {told}")
    assert head.versions is not None
    assert head.versions.needed in raised.value.remedy
    assert "odllm fleet down" in raised.value.remedy


def test_a_head_that_did_not_write_down_what_it_runs_is_still_found(tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text('{"address": "127.0.0.1:6379", "pid": 1}')
    found = Head.of(tmp_path)
    assert found is not None
    assert found.versions is None
    found.check_fits()


@pytest.mark.parametrize("content", ["", "[]", '{"versions": []}', '{"versions": {"ray": "1"}}'])
def test_a_file_that_tells_of_no_head_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "head.json").write_text(content)
    assert Head.of(tmp_path) is None


def test_a_driver_with_another_patch_of_python_enters(tmp_path: Path) -> None:
    with fleet_in(tmp_path / "fleet") as address:
        head = starting.start(address)
        say_another_patch(head)
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, head.address],
            env=child_environment(head.environment()),
            capture_output=True,
            check=False,
        )
        assert b"entered" in done.stdout, done.stderr


def test_no_token_and_a_wrong_one_open_nothing(head: Head, wrong_token: Path) -> None:
    """A driver and a joining node, each with a wrong token and with none."""
    entries = [
        [sys.executable, "-c", DRIVER, head.address],
        [sys.executable, "-m", "odllm_agent.fleet.ray_start", "start", f"--address={head.address}"],
    ]
    ways = {"RAY_AUTH_TOKEN_PATH": str(wrong_token)}, {"RAY_AUTH_MODE": "disabled"}
    tried = [
        subprocess.Popen(
            entry,
            env=child_environment({**head.environment(), **way, **kind}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for entry, kind in zip(entries, ({}, JOINING), strict=True)
        for way in ways
    ]
    for process in tried:
        told = process.communicate(timeout=family.PATIENCE_S)[0].decode()
        assert process.returncode
        assert "entered" not in told
        assert "runtime started" not in told
        assert "InvalidAuthToken" in told
    assert not asked(head).device_ids


def test_a_knock_without_the_token_is_refused(head: Head, wrong_token: Path) -> None:
    address = Address.parse(head.address)
    with pytest.raises(JoinRefused, match="refuses the token"):
        knock(address, {**os.environ, **head.environment(), "RAY_AUTH_MODE": "disabled"})
    told = {"RAY_AUTH_TOKEN_PATH": str(wrong_token)}
    with pytest.raises(JoinRefused, match="refuses the token"):
        knock(address, {**os.environ, **head.environment(), **told})


def test_the_token_is_in_its_file_and_nowhere_else(head: Head, tmp_path: Path) -> None:
    token = head.token_file.read_bytes()
    assert head.token_file.stat().st_mode & 0o777 == 0o600
    with join(tmp_path, head.address, head.token_file) as device:
        device.says("joined the fleet")
        lines = [line for path in Path("/proc").glob("[0-9]*/cmdline") for line in _content(path)]
        assert any(b"gcs_server" in line for line in lines)
        assert not any(token in line for line in lines)
        sessions = {_ray_dir(each) for each in device.node()} - {None}
        folders = [head.folder, Path(head.ray_dir), tmp_path, *sessions]
        files = [path for folder in folders if folder for path in folder.rglob("*")]
        assert any(path.name == "raylet.out" for path in files)
        holding = [path for path in files if any(token in content for content in _content(path))]
        assert holding == [head.token_file]
        assert device.leave() == 0


def test_a_head_that_was_killed_is_not_up_and_the_next_takes_its_place(tmp_path: Path) -> None:
    with fleet_in(tmp_path / "fleet") as address:
        first = starting.start(address)
        psutil.Process(first.pid).kill()
        eventually(lambda: not first.is_up)
        with pytest.raises(DispatchError, match="no head of a fleet is up"):
            Head.load()
        second = starting.start(address)
        assert Head.load() == second
        assert tagged.marked(first.mark) == []
        assert not Path(first.ray_dir).exists()
        assert second.end() >= 3
        assert tagged.marked(second.mark) == []
        assert not Path(second.ray_dir).exists()
        assert Head.last() is None


def test_with_certificates_whoever_has_one_joins_and_nobody_else_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet_in(tmp_path / "fleet") as address:
        head = starting.start(address, tls=True)
        given = certificate(head.folder, ["127.0.0.1"], tmp_path / "given")
        with join(tmp_path, head.address, head.token_file, "--tls-dir", str(given)) as device:
            device.says("joined the fleet")
            assert device.leave() == 0
        assert asked(head).versions == Versions.here()
        # Ray goes on trying for longer than anybody wants to wait here.
        monkeypatch.setattr("odllm_agent.fleet.handshake._PATIENCE_S", 8.0)
        with pytest.raises(DispatchError, match="no answer"):
            knock(address, child_environment({**head.environment(), "RAY_USE_TLS": "0"}))


def _ray_dir(process: psutil.Process) -> Path | None:
    found = next((each for each in process.cmdline() if each.startswith("--temp-dir=")), None)
    return Path(found.removeprefix("--temp-dir=")) if found else None


def _content(path: Path) -> list[bytes]:
    """What is in a file; nothing in a folder, a socket, or what is gone meanwhile."""
    try:
        return [path.read_bytes()] if path.is_file() else []
    except OSError:
        return []


def test_a_port_of_the_model_server_that_is_taken_is_told_and_no_head_stays(
    tmp_path: Path,
) -> None:
    with (
        fleet_in(tmp_path / "fleet") as address,
        socket.create_server((address.host, address.port + 1)),
    ):
        with pytest.raises(DispatchError, match="model server does not start") as told:
            starting.start(address)
        assert str(address.port + 1) in told.value.message
        assert Head.last() is None
