"""What a device did without a controller: a file with a line of JSON per entry, oldest first.

Each start of the command is a run of its own: it begins with an `Opening` and ends, unless it was
killed, with a `Closing`. Every entry is on the disk before the next order begins.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

from odllm_agent.contract import (
    Device,
    Failure,
    ModelRequest,
    Result,
    Skip,
    Trial,
    from_plain,
    to_json,
)
from odllm_agent.errors import DiskFull, UsageError
from odllm_agent.failures import LeftOut
from odllm_agent.files.folders import FULL
from odllm_agent.offline.assignment import PlannedExperiment, refuse_other_format
from odllm_agent.trials import sanity


@dataclass(frozen=True, slots=True)
class Opening:
    """A run that begins.

    Attributes:
        format: `FORMAT` of the ODLLM that wrote it.
        assignment_sha256: The checksum of the file that says what to do.
        started_at: When it began, in UTC.
        command: The command line.
        experiment: What is carried out.
        device: Where.
        skips: What of it cannot run there, with the reasons.
    """

    format: int
    assignment_sha256: str
    started_at: datetime
    command: str
    experiment: PlannedExperiment
    device: Device
    skips: tuple[Skip, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run is to measure, once its model files are there.

    Attributes:
        trials: What.
        rounds: How often each.
        rounds_at_most: How often while its interval is wider than the target.
        interval_target: The width asked for, as a fraction of the median decode speed.
    """

    trials: tuple[Trial, ...]
    rounds: int
    rounds_at_most: int
    interval_target: float


@dataclass(frozen=True, slots=True)
class Unprepared:
    """A model file that could not be made ready.

    Attributes:
        request: What was asked for.
        failure: Why it is not there.
    """

    request: ModelRequest
    failure: Failure


class RunStatus(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Closing:
    """A run that ends.

    Attributes:
        ended_at: When, in UTC.
        status: How.
    """

    ended_at: datetime
    status: RunStatus


OfRun = Planned | Unprepared | Result | LeftOut | Closing
"""An entry of a run that has begun."""

Entry = Opening | OfRun

_KINDS: Mapping[str, Any] = {kind.__name__: kind for kind in get_args(Entry)}
_BEGINNING = b'{"Opening":'
_OTHER = "name another file with --out"


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that is no entry.

    Attributes:
        reason: What is wrong with it.
    """

    reason: str


def entries(path: Path) -> Iterator[tuple[int, Entry | Damage]]:
    """The entries of a file by the numbers of their lines, from 1.

    Raises:
        UsageError: The file cannot be read, or is of another format.
    """
    try:
        with path.open("rb") as file:
            yield from entries_of(file, path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "name a file of `odllm-agent run`"
        ) from error


def entries_of(lines: Iterable[bytes], path: Path) -> Iterator[tuple[int, Entry | Damage]]:
    """The same of a file that is open.

    Args:
        lines: Its lines.
        path: What it is called.

    Raises:
        UsageError: It is of another format.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _entry(line, path)


class Logbook:
    """A file of entries that is written on; it is closed at the end of the context.

    Args:
        path: The file. Entries of earlier runs are kept; a last line that was cut off is removed.
        assignment_sha256: What all runs in it carry out.

    Attributes:
        earlier: The entries that were there.
        damaged: Numbers of lines that are no entries.

    Raises:
        UsageError: The file cannot be written, or holds something else.
    """

    def __init__(self, path: Path, assignment_sha256: str) -> None:
        self._path = path
        _refuse_other(path, assignment_sha256)
        self._file = self._opened()
        found = dict(entries(path))
        self.damaged = [number for number, each in found.items() if isinstance(each, Damage)]
        self.earlier = [each for each in found.values() if not isinstance(each, Damage)]

    def add(self, entry: Entry) -> None:
        """Writes an entry down, to last.

        Raises:
            DiskFull: There is no room for it; what was written before stays.
            UsageError: The file cannot be written.
        """
        line = f"{to_json({type(entry).__name__: entry})}\n".encode()
        start = self._path.stat().st_size
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(start)
            raise self._told(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _opened(self) -> FileIO:
        try:
            # Without a buffer nothing is left to be written when the disk is full.
            file = FileIO(self._path, "ab+")
            # What follows the last whole line was cut off.
            file.truncate(self._path.read_bytes().rfind(b"\n") + 1)
        except OSError as error:
            raise self._told(error) from error
        return file

    def _told(self, error: OSError) -> DiskFull | UsageError:
        if error.errno in FULL:
            return DiskFull(
                f"there is no room on the disk of {self._path}",
                "make room, then run the same command again: it goes on from what is written",
            )
        return UsageError(f"{self._path} cannot be written: {error.strerror}", _OTHER)


def _refuse_other(path: Path, assignment_sha256: str) -> None:
    """Checks that a file, if it is there, was begun for the same assignment."""
    match next(entries(path), (1, None))[1] if path.exists() else None:
        case None:
            return
        case Opening() as opening:
            if opening.assignment_sha256 != assignment_sha256:
                raise UsageError(f"{path} holds results of another assignment", _OTHER)
        case Damage(reason=reason):
            # The very first line may have been cut off; then nothing is lost with it.
            content = path.read_bytes()
            if b"\n" in content or not _BEGINNING.startswith(content[: len(_BEGINNING)]):
                raise UsageError(f"{path} is no file of results: {reason}", _OTHER)
        case _:
            raise UsageError(f"{path} does not begin with an opening", _OTHER)


def _entry(line: bytes, path: Path) -> Entry | Damage:
    try:
        return _parsed(line, path)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return Damage(str(error))


def _parsed(line: bytes, path: Path) -> Entry:
    told = _value(line)
    if not isinstance(told, dict) or len(told) != 1:
        shown = line.decode("utf-8", "replace").strip()[:60]
        raise ValueError(f"it is no entry: {shown!r}")
    ((name, plain),) = told.items()
    if name not in _KINDS:
        raise ValueError(f"there is no entry named {name!r:.80}")
    if name == Opening.__name__:
        refuse_other_format(plain, path)
    entry: Entry = from_plain(_KINDS[name], plain)
    sanity.check(entry)
    return entry


def _value(line: bytes) -> object:
    """What a line holds, or `None` if it is no JSON."""
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        if not line.endswith(b"\n"):
            raise ValueError("it was cut off") from error
        if isinstance(error, UnicodeDecodeError):
            raise
        return None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure")
