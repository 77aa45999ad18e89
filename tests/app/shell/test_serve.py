"""Starting the explorer: what is checked first, and what it is started with."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from odllm_agent.errors import StoreError, UsageError
from odllm_app.cli import main
from odllm_app.shell.serve import ADDRESS, command, explore
from tests import family, stores


@pytest.fixture
def path(tmp_path: Path) -> Path:
    stores.begun(tmp_path / "odllm.duckdb")
    return tmp_path / "odllm.duckdb"


def test_a_store_that_cannot_be_read_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        explore(tmp_path / "odllm.duckdb")


def test_a_port_in_use(path: Path) -> None:
    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError) as refused:
            explore(path, port, headless=True)
    assert f"port {port} cannot be used" in refused.value.message
    assert f"--port {port + 1}" in refused.value.remedy


@pytest.mark.parametrize("port", [70000, 65536, 0, -1])
def test_a_port_that_does_not_exist(path: Path, port: int) -> None:
    with pytest.raises(UsageError, match=f"no port {port}"):
        explore(path, port, headless=True)


def test_it_listens_on_this_machine_only_and_reports_to_nobody(path: Path) -> None:
    line = " ".join(command(path, 8600, headless=True))
    assert "--server.address 127.0.0.1" in line
    assert "--browser.gatherUsageStats false" in line
    assert line.endswith(f"-- --store {path}")


def test_the_command_line_tells_errors_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--store", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert re.match(r"odllm explore: the store .* is a directory\n", told)


def test_help_has_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "odllm_app", "--help"], capture_output=True, text=True, check=True
    )
    assert "odllm explore --store" in done.stdout


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])


def _answered(address: str) -> bytes:
    """What an address answers, once something does."""
    start = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() - start < family.PATIENCE_S
            time.sleep(0.2)


@pytest.mark.skipif(os.name != "posix", reason="the processes are ended as a group")
@pytest.mark.parametrize("home", ["empty", "/proc/none"])
def test_it_starts_without_asking_anything_in_a_home_that_never_saw_it(
    path: Path, tmp_path: Path, home: str
) -> None:
    own = tmp_path / "empty"
    own.mkdir()
    port = _free_port()
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "odllm_app", "--store", str(path), "--port", str(port)],
            env={**os.environ, "HOME": str(own) if home == "empty" else home, "BROWSER": "true"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with process:
        try:
            assert b"<html" in _answered(f"http://{ADDRESS}:{port}/answer")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    told = log.read_text()
    assert f"http://{ADDRESS}:{port}" in told
    assert not re.search("e-?mail|warning|streamlit", told, re.IGNORECASE), told
