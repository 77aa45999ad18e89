"""A host: processes with an address, a machine id, a process table and folders of their own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

REPOSITORY = Path(__file__).parents[2]
SMALL_DISK_BYTES = 64 * 2**20

_NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc")
# It ends, and every process of the namespace with it, when its standard input closes: that is when
# the process that made it is gone, however it went. Orphans that end leave it no zombies.
_FIRST_PROCESS = "echo ready; exec env --ignore-signal=CHLD cat"
# A host sees a /tmp of its own, in which is only what it needs, wherever that lies.
_MOUNT = """
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/tmp
    for needed in "$@"; do
        mkdir -p "/mnt$needed"
        mount --bind "$needed" "/mnt$needed"
    done
    mount --rbind /mnt/tmp /tmp
    mount -t tmpfs tmpfs /dev/shm
    mount --bind "$1/machine-id" /etc/machine-id
"""
_ROUNDS_TO_CATCH_ALL = 20
_LOOK_EVERY_S = 0.1


class Role(StrEnum):
    """What a process of a fleet is there for."""

    HEAD = "head"
    RAYLET = "raylet"
    ACTOR = "actor"
    WORKER = "worker"
    AGENT = "agent"
    CONTROLLER = "controller"


_ROLES: Mapping[Role, re.Pattern[str]] = {
    Role.HEAD: re.compile(r"/gcs_server "),
    Role.RAYLET: re.compile(r"/raylet/raylet "),
    Role.ACTOR: re.compile(r"^ray::AgentActor"),
    Role.WORKER: re.compile(r"-m odllm_agent\.worker"),
    Role.AGENT: re.compile(r"-m odllm_agent join"),
    Role.CONTROLLER: re.compile(r"-m odllm_controller(?! fleet)"),
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a host, as the machine sees it.

    Attributes:
        pid: Its number outside the host.
        command: Its command line, or its title where it has set one.
    """

    pid: int
    command: str

    def is_a(self, role: Role) -> bool:
        """Whether it is there for that."""
        return bool(_ROLES[role].search(self.command))

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Namespace:
    """The namespaces of one host and the process that keeps them.

    Args:
        keeper: The process that waits for the first process of the namespaces.
        pid: The first process, by its number outside.
    """

    def __init__(self, keeper: subprocess.Popen[str], pid: int) -> None:
        self._keeper = keeper
        self.pid = pid
        # Kept, since another process may get the number once this one has ended.
        self._table = Path(f"/proc/{pid}/ns/pid").readlink()

    @classmethod
    def make(cls) -> "Namespace":
        """New namespaces with one idle process in them.

        Raises:
            OSError: This machine has none, or does not let this process make them.
        """
        options = (*_NAMESPACES, "--fork", "--kill-child=KILL", "--mount-proc")
        keeper = subprocess.Popen(
            ["unshare", *options, "sh", "-c", _FIRST_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if not keeper.stdout.readline():
            raise OSError(keeper.stderr.read().strip())
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text()
        return cls(keeper, int(children))

    def enter(self, command: Sequence[str], folder: Path) -> list[str]:
        """The command line that runs a command inside."""
        return ["nsenter", f"--target={self.pid}", "--all", f"--wdns={folder}", "--", *command]

    def run(self, *command: str) -> None:
        """Runs a command inside to its end.

        Raises:
            CalledProcessError: It fails.
        """
        whole = self.enter(command, Path("/"))
        subprocess.run(whole, check=True, capture_output=True, text=True)

    def ip(self, *words: str) -> None:
        """Changes its network; processes outside keep the numbers that they have outside.

        Raises:
            CalledProcessError: It fails.
        """
        whole = ["nsenter", f"--target={self.pid}", "--net", "--", "ip", *words]
        subprocess.run(whole, check=True, capture_output=True, text=True)

    def processes(self) -> list[Process]:
        """Every process inside but the first."""
        found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
        inside = [pid for pid in found if pid != self.pid and _process_table(pid) == self._table]
        return [Process(pid, command) for pid in inside if (command := _command(pid))]

    def end(self) -> None:
        """Ends every process inside at once, as a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._keeper.communicate()


class Switch(Protocol):
    """What a host is connected to."""

    def link(self, host: "Host", state: str) -> None:
        """Sets the link of a host `up` or `down`."""


@dataclass(slots=True)
class Host:
    """One host of a network.

    Attributes:
        name: Its host name.
        address: Its address on the network.
        folder: Where its folders are.
        namespace: Where its processes run.
        switch: What it is connected to.
        environment: What its processes find in their environment beside the usual.
        started: The processes that were started on it from outside.
    """

    name: str
    address: str
    folder: Path
    namespace: Namespace
    switch: Switch
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Its user's folder."""
        return self.folder / "home"

    @property
    def state(self) -> Path:
        """Where its agent keeps its state, on a disk that is small."""
        return self.folder / "state"

    @property
    def results(self) -> Path:
        """Where its controller keeps results, on a disk that is small."""
        return self.folder / "results"

    def furnish(self, machine_id: str) -> None:
        """Makes its folders, as its processes see them.

        Args:
            machine_id: What it has in /etc/machine-id.
        """
        for each in (self.home, self.state, self.results, self.folder / "logs"):
            each.mkdir(parents=True, exist_ok=True)
        (self.folder / "machine-id").write_text(f"{machine_id}\n")
        small = f"mount -t tmpfs -o size={SMALL_DISK_BYTES} tmpfs"
        needed = (str(self.folder), str(REPOSITORY), sys.prefix)
        self.namespace.run("sh", "-ec", _MOUNT, "sh", *needed)
        for each in (self.state, self.results):
            self.namespace.run(*small.split(), str(each))

    def seen(self, path: Path) -> Path:
        """A path on this host as processes outside may read it."""
        return Path(f"/proc/{self.namespace.pid}/root{path}")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts a command; what it says is in the file of its number in the folder `logs`."""
        log = (self.folder / "logs" / f"{len(self.started)}.txt").open("w")
        with log:
            begun = subprocess.Popen(
                self.namespace.enter(command, self.home),
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.started.append(begun)
        return begun

    def said(self, begun: subprocess.Popen[str]) -> str:
        """What a started command has said so far."""
        return (self.folder / "logs" / f"{self.started.index(begun)}.txt").read_text()

    def run(self, *command: str, timeout_s: float = 120) -> str:
        """Runs a command to its end.

        Returns:
            What it said.

        Raises:
            RuntimeError: It fails.
            TimeoutExpired: It takes too long.
        """
        begun = self.start(*command)
        status = begun.wait(timeout_s)
        if status:
            raise RuntimeError(f"{command} on {self.name}: {status}\n{self.said(begun)}")
        return self.said(begun)

    def processes(self, role: Role | None = None) -> list[Process]:
        """Its processes, or those of one role."""
        return [each for each in self.namespace.processes() if role is None or each.is_a(role)]

    def kill(self, role: Role) -> list[Process]:
        """Sends SIGKILL to every process of one role.

        Returns:
            Those that were there.
        """
        found = self.processes(role)
        for each in found:
            each.signal(signal.SIGKILL)
        return found

    def link_down(self) -> None:
        """Pulls its network cable."""
        self.switch.link(self, "down")

    def link_up(self) -> None:
        """Plugs its network cable in again."""
        self.switch.link(self, "up")

    def sleep(self) -> None:
        """Stops every process; unlike on a closed laptop the clocks go on."""
        stopped: set[int] = set()
        for _ in range(_ROUNDS_TO_CATCH_ALL):
            new = [each for each in self.processes() if each.pid not in stopped]
            for each in new:
                each.signal(signal.SIGSTOP)
            if not new:
                return
            stopped |= {each.pid for each in new}

    def wake(self) -> None:
        """Lets every process go on."""
        for each in self.processes():
            each.signal(signal.SIGCONT)
        # nsenter stops itself when the command that it waits for is stopped.
        for begun in self.started:
            if begun.poll() is None:
                begun.send_signal(signal.SIGCONT)

    def fill(self, folder: Path) -> None:
        """Leaves no room on the disk of a folder."""
        with (
            contextlib.suppress(OSError),
            (self.seen(folder) / "filler").open("wb", buffering=0) as filler,
        ):
            while filler.write(bytes(4096)):
                continue

    def clear(self, folder: Path) -> None:
        """Gives the room on the disk of a folder back."""
        (self.seen(folder) / "filler").unlink(missing_ok=True)

    def end(self) -> None:
        """Ends every process at once, as a power cut does."""
        self.namespace.end()

    def _variables(self) -> dict[str, str]:
        own = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ODLLM_STATE_DIR": str(self.state),
            "ODLLM_FLEET_DIR": str(self.folder / "fleet"),
            "ODLLM_CACHE_DIR": str(self.folder / "cache"),
        }
        return own | self.environment


def wait_until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Waits until something holds.

    Raises:
        TimeoutError: It does not within the time.
    """
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(_LOOK_EVERY_S)


def _process_table(pid: int) -> Path | None:
    """Which process table a process is in; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:
        return None


def _command(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.decode("utf-8", "replace").replace("\0", " ").strip()
