"""The Ray node of this device: a process, with everything that it starts."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from odllm_agent.network import ray_folder
from odllm_agent.processes import background, tagged

_ENTRY = "odllm_agent.fleet.ray_start"
_STARTED = b"Ray runtime started."
_RAYLETS = {"raylet", "raylet.exe"}
# Ray itself gives its raylet ten seconds to leave.
_LEAVING_S = 15.0


class NodeProcess:
    """A running Ray node.

    Args:
        options: The options of `ray start`.
        environment: Its environment.
        folder: Where its log lies, and what is needed to clear up after it if nobody else does.
    """

    def __init__(
        self, options: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._mark = tagged.new_mark()
        self._log = folder / "node.log"
        self._raylet: psutil.Process | None = None
        ray_dir = ray_folder.make(self._mark)
        _note(folder, self._mark, ray_dir)
        temp_dir = f"--temp-dir={ray_folder.temp_dir(ray_dir)}"
        # Ctrl-C is for the supervisor alone, which then has the node leave in order.
        self._process = background.start(
            [sys.executable, "-m", _ENTRY, "start", "--block", *options, temp_dir],
            self._log,
            {**environment, **tagged.marking(self._mark)},
            tied=True,
        )

    @property
    def has_joined(self) -> bool:
        """Whether it has entered the fleet."""
        if self._raylet is None and _STARTED in self._log.read_bytes():
            self._raylet = next(filter(_is_raylet, self._children()), None)
        return self._raylet is not None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; once it has joined, whether its raylet has not."""
        if self._process.poll() is not None:
            return False
        # Ray goes on waiting for a raylet that was ended in order.
        return self._raylet is None or _is_alive(self._raylet)

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        return background.last_words(self._log) or "it said nothing"

    def end(self) -> None:
        """Leaves the fleet and ends everything that belongs to the node."""
        if self._process.poll() is None:
            background.leave(self._process, _LEAVING_S)
        tagged.end(self._mark)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _children(self) -> Iterable[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self._process.pid).children()
        return ()


def clear_up(folder: Path) -> int:
    """Ends what is left of the node that a folder tells of, and removes Ray's files.

    Args:
        folder: What an earlier `NodeProcess` was given.

    Returns:
        How many processes were left: some where their supervisor was killed.
    """
    try:
        told = json.loads((folder / "node.json").read_bytes())
        mark, ray_dir = str(told["mark"]), Path(told["ray_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    left = tagged.end(mark)
    ray_folder.remove(ray_dir)
    return left


def _note(folder: Path, mark: str, ray_dir: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"mark": mark, "ray_dir": str(ray_dir), "supervisor_pid": os.getpid()}
    (folder / "node.json").write_text(json.dumps(told))


def _is_raylet(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() in _RAYLETS
    return False


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
