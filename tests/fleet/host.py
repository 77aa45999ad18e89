"""A host: processes with an address, a machine id, a process table and folders of their own."""

import contextlib
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from odllm_agent.files.folders import builds_root
from tests import family
from tests.fleet.namespace import Namespace
from tests.fleet.process import Process, Role
from tests.fleet.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]

_SMALL_DISK_BYTES = 64 * 2**20
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
        small = f"mount -t tmpfs -o size={_SMALL_DISK_BYTES} tmpfs"
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

    def run(self, *command: str) -> str:
        """Runs a command to its end.

        Returns:
            What it said.

        Raises:
            RuntimeError: It fails.
            TimeoutExpired: It takes too long.
        """
        begun = self.start(*command)
        status = begun.wait(family.PATIENCE_S)
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
        """Stops every process until all stand still; unlike on a closed laptop clocks go on."""
        wait_until(self._stands_still, family.PATIENCE_S, f"{self.name} stands still")

    def _stands_still(self) -> bool:
        moving = [each for each in self.processes() if not each.stands_still()]
        for each in moving:
            each.signal(signal.SIGSTOP)
        return not moving and all(each.stands_still() for each in self._entering())

    def _entering(self) -> list[Process]:
        """What waits outside for a started command: nsenter, which stops itself once that stops."""
        return [Process(each.pid, "nsenter") for each in self.started if each.poll() is None]

    def wake(self) -> None:
        """Lets every process go on."""
        for each in (*self.processes(), *self._entering()):
            each.signal(signal.SIGCONT)

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
        # What waits outside is stopped if the host sleeps, and would not let its command end.
        for begun in self.started:
            begun.kill()
        self.namespace.end()
        for begun in self.started:
            begun.wait()

    def _variables(self) -> dict[str, str]:
        own = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ODLLM_STATE_DIR": str(self.state),
            "ODLLM_FLEET_DIR": str(self.folder / "fleet"),
            "ODLLM_CACHE_DIR": str(self.folder / "cache"),
            # All hosts have one processor.
            "ODLLM_BUILDS_DIR": str(builds_root()),
        }
        return own | self.environment
