"""The namespaces of one host, and the processes in them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.process import Process

_NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc")
# It ends, and every process of the namespace with it, when its standard input closes: that is when
# the process that made it is gone, however it went. Orphans that end leave it no zombies.
_FIRST_PROCESS = ("env", "--ignore-signal=CHLD", "cat")
_READY = "ready\n"


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
            ["unshare", *options, *_FIRST_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if not _is_up(keeper):
            raise OSError(keeper.communicate()[1].strip())
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


def _is_up(keeper: subprocess.Popen[str]) -> bool:
    """Whether the first process gives back what it is told, as it does once it ignores orphans."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        keeper.stdin.write(_READY)
        keeper.stdin.flush()
    return keeper.stdout.readline() == _READY


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
