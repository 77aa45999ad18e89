"""A real head and real nodes on loopback, as the commands start them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from odllm_agent.contract import Entry
from odllm_agent.fleet.handshake import HeadAnswer, knock
from odllm_agent.network.address import Address
from odllm_agent.network.ray_environment import child_environment
from odllm_agent.processes import tagged
from odllm_agent.trials.journal import Journal
from odllm_controller.head.head import Head
from tests import family

PATIENCE_S = family.PATIENCE_S


def free_port() -> int:
    """A port of loopback that nobody uses now, nor the next, where a head's models are served."""
    while True:
        with socket.socket() as found, socket.socket() as next_one:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
            with contextlib.suppress(OSError):
                next_one.bind(("127.0.0.1", port + 1))
                return port


def eventually(holds: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Waits until something holds, and fails if it never does."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.2)


def asked(head: Head) -> HeadAnswer:
    """What a head says to somebody with its token."""
    return knock(Address.parse(head.address), child_environment(head.environment()))


# Ray reads its token once in a process.
_SAYING = """
import json, sys
from ray._raylet import GcsClient
client, at = GcsClient(address=sys.argv[1]), {"namespace": b"cluster"}
told = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", **at))
told["python_version"] = told["python_version"].rpartition(".")[0] + ".99"
client.internal_kv_put(b"CLUSTER_METADATA", json.dumps(told).encode(), True, **at)
"""


def say_another_patch(head: Head) -> None:
    """Has a head say that its Python is of another patch than it is."""
    subprocess.run(
        [sys.executable, "-c", _SAYING, head.address],
        env=child_environment(head.environment()),
        check=True,
    )
    assert asked(head).versions.python.endswith(".99")


@contextlib.contextmanager
def fleet_in(folder: Path) -> Iterator[Address]:
    """Where a head may be started on loopback, that is down afterwards.

    Args:
        folder: The fleet folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODLLM_FLEET_DIR", str(folder))
        try:
            yield Address("127.0.0.1", free_port())
        finally:
            head = Head.last()
            if head:
                head.end()


@dataclass(frozen=True, slots=True)
class Join:
    """A running `odllm-agent join`."""

    process: subprocess.Popen[bytes]
    state: Path
    log: Path

    def said(self) -> str:
        """What it said so far."""
        return self.log.read_text("utf-8")

    def says(self, text: str, times: int = 1) -> None:
        """Waits until it has said something so many times."""
        eventually(lambda: self.said().count(text) >= times or self.process.poll() is not None)
        assert self.said().count(text) >= times, self.said()

    def node(self) -> list[psutil.Process]:
        """The processes of its Ray node."""
        found = (self.state / "node.json").read_text("utf-8")
        return tagged.marked(found.split('"mark": "')[1].split('"')[0])

    def journal(self) -> tuple[Entry, ...]:
        """What it keeps for the next controller."""
        return Journal(self.state / "journal").collect("").entries

    def raylet(self) -> psutil.Process:
        """The raylet among them."""
        (found,) = [each for each in self.node() if each.name() == "raylet"]
        return found

    def leave(self) -> int:
        """Ends it in order; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def join(
    folder: Path, head: str, token: Path, *options: str, variables: Mapping[str, str] | None = None
) -> Iterator[Join]:
    """Runs `odllm-agent join` and ends what it leaves behind.

    Args:
        folder: Where its state and what it says lie.
        head: Where the head is.
        token: The token file.
        options: Further options.
        variables: Further variables of its environment.
    """
    state, log = folder / "state", folder / "join.log"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "ODLLM_STATE_DIR": str(state), **(variables or {})}
    command = [sys.executable, "-m", "odllm_agent", "join", head, "--token-file", str(token)]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*command, *options], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    running = Join(process, state, log)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for each in running.node() if (state / "node.json").exists() else ():
            with contextlib.suppress(psutil.Error):
                each.kill()
