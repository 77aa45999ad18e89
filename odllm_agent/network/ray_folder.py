"""A folder for the sockets and logs of a Ray: short, this user's alone, and gone after it.

A socket's path may have some hundred bytes, of which Ray takes most, and no letters outside ASCII;
and Ray leaves everything where it was. So each Ray gets a folder of its own with a short name, in
which it is written down whose it is, and whoever makes the next one removes those of Rays that were
killed.
"""

import contextlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

from odllm_agent.errors import DispatchError
from odllm_agent.processes import tagged

_PREFIX = "odllm-ray-"
_OWNER = "owner.json"
_OF_RAY = "r"
# The longest that Ray makes, with a process id of the most digits.
_SOCKET = f"{_OF_RAY}/session_2026-11-24_11-39-16_751060_4194304/sockets/plasma_store_1"
_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
_RANDOM = 8
_LONGEST_BYTES = _SOCKET_BYTES - len(f"/{_PREFIX}/{_SOCKET}") - _RANDOM
# Ray hands the name on in command lines, which it takes apart again.
_PLAIN = re.compile(r"[A-Za-z0-9/._+@=,-]+")
# Ray refuses to write where hardly anything is free.
_LEAST_FREE_BYTES = 64 * 2**20
# A folder gets its owner within a moment of being made.
_MOMENT_S = 60.0
# XDG_RUNTIME_DIR comes behind them, since it is taken away when the user logs out, and lies in
# memory like the last.
_FIXED_ROOTS = ("/tmp", "/var/tmp")  # noqa: S108 - the folder in it is this user's alone
_LAST_ROOTS = ("/dev/shm",)  # noqa: S108


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose a folder is.

    Attributes:
        pid: The process that made it.
        mark: What the processes of its Ray are marked with, or `""`.
        table: The table of processes that the number is of: a container has one of its own.
    """

    pid: int
    mark: str
    table: str

    @classmethod
    def of_this_process(cls, mark: str) -> Self:
        return cls(os.getpid(), mark, _process_table())

    @property
    def may_be_alive(self) -> bool:
        if self.table != _process_table() or psutil.pid_exists(self.pid):
            return True
        return bool(self.mark and tagged.marked(self.mark))


def make(mark: str = "") -> Path:
    """A new folder for a Ray, into which only this user may look.

    Those that were left behind by Rays that were killed are removed.

    Args:
        mark: What the Ray's processes are marked with, if it outlives this process.

    Raises:
        DispatchError: There is no place for one.
    """
    why: list[str] = []
    for root in dict.fromkeys(_roots()):
        remove_left_behind(root)
        try:
            return _made(root, mark)
        except (OSError, _Unfit) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            why.append(f"{root}: {reason or error}")
    raise DispatchError(
        f"there is no place for the sockets of Ray; {'; '.join(why)}",
        "set TMPDIR to a folder that this user may write to, with a name of at most "
        f"{_LONGEST_BYTES} plain letters",
    )


def temp_dir(folder: Path) -> Path:
    """The one in it that is for Ray, which lets everybody into what it is given."""
    return folder / _OF_RAY


def remove(folder: Path) -> None:
    """Removes what `make` made, once its Ray has ended."""
    shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind(root: Path) -> None:
    """Removes the folders in a root whose Rays are gone; those of other users are left alone."""
    with contextlib.suppress(OSError):
        for found in root.glob(f"{_PREFIX}{'?' * _RANDOM}"):
            if _is_ours(found) and not _may_be_used(found):
                remove(found)


class _Unfit(Exception):
    """Why a folder is no place for Ray."""


def _roots() -> Iterator[Path]:
    if sys.platform == "win32":
        yield Path(tempfile.gettempdir())
        return
    chosen = os.environ.get("TMPDIR")
    own = os.environ.get("XDG_RUNTIME_DIR")
    yield from (
        Path(each).absolute() for each in (chosen, *_FIXED_ROOTS, own, *_LAST_ROOTS) if each
    )


def _made(root: Path, mark: str) -> Path:
    if sys.platform != "win32":
        if not _PLAIN.fullmatch(str(root)):
            raise _Unfit("Ray takes neither spaces nor letters outside ASCII")
        if len(str(root)) > _LONGEST_BYTES:
            raise _Unfit("the name is too long for a socket in it")
    if shutil.disk_usage(root).free < _LEAST_FREE_BYTES:
        raise _Unfit("less than 64 MiB are free")
    # The name cannot be guessed, and nobody else can have made it before.
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    try:
        (folder / _OWNER).write_text(json.dumps(asdict(_Owner.of_this_process(mark))))
    except OSError:
        remove(folder)
        raise
    return folder


def _is_ours(folder: Path) -> bool:
    # A link is none: what it leads to may be anybody's.
    found = folder.lstat()
    is_folder = folder.is_dir() and not folder.is_symlink()
    return is_folder and found.st_uid == getattr(os, "getuid", lambda: found.st_uid)()


def _may_be_used(folder: Path) -> bool:
    try:
        return _Owner(**json.loads((folder / _OWNER).read_bytes())).may_be_alive
    except (OSError, ValueError, TypeError):
        return time.time() - folder.lstat().st_mtime < _MOMENT_S


def _process_table() -> str:
    with contextlib.suppress(OSError):
        return f"{platform.node()} {Path('/proc/self/ns/pid').readlink()}"
    return platform.node()
