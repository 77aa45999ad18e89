"""The journal: what an agent keeps on its device's disk until a controller has stored it.

Each entry is a file of two lines, a checksum and JSON, that is there as a whole or not at all. So a
file that is not whole was damaged by something else; it is set aside, and told once.
"""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from odllm_agent.clock import now
from odllm_agent.contract import Collected, Entry, Event, Result, Tag, from_json, to_json
from odllm_agent.errors import UsageError
from odllm_agent.files.folders import FULL, why_no_state

_ID = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")
_ENTRY, _PARTIAL, _DAMAGED = ".entry", ".part", ".damaged"
_AT_ONCE = 100


class Journal:
    """The journal in one folder, which is made when the first entry is.

    Several processes may add to it.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, content: Result | Event, tag: Tag | None = None) -> Entry:
        """Keeps a result or an event; returns only once the disk has it.

        A disk that does not take it costs nothing but that: the entry says why it is not kept.
        """
        entry = Entry.of(f"{now():%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}", content, tag)
        try:
            self._write(entry)
        except OSError as error:
            return replace(entry, unkept=_why_unkept(self._folder, error))
        return entry

    def collect(self, store_id: str, after: str = "", at_most: int = _AT_ONCE) -> Collected:
        """What lies here for a store, oldest first, and the events, which are for any.

        Args:
            store_id: The store.
            after: The id of the last entry that is known already.
            at_most: The number of entries after which to stop.

        Raises:
            UsageError: The folder cannot be read.
        """
        found: list[Entry] = []
        damaged: list[str] = []
        for path in self._readable_paths(after):
            entry = _read(path)
            if entry is None:
                damaged.append(_set_aside(path))
            elif entry.tag is None or entry.tag.store_id == store_id:
                found.append(entry)
            if len(found) > at_most:
                break
        return Collected(tuple(found[:at_most]), len(found) > at_most, tuple(damaged))

    def remove(self, entry_ids: Iterable[str]) -> None:
        """Forgets entries that are stored; those that are not there are left out."""
        for entry_id in entry_ids:
            # An id comes over the network, and must not lead to another file.
            if _ID.fullmatch(entry_id):
                # One that cannot be removed is given out once more, and a store knows it then.
                with contextlib.suppress(OSError):
                    (self._folder / f"{entry_id}{_ENTRY}").unlink()

    def __len__(self) -> int:
        return len(self._paths())

    def _readable_paths(self, after: str) -> list[Path]:
        try:
            return self._paths(after)
        except OSError as error:
            raise UsageError(why_no_state(self._folder, error)) from error

    def _paths(self, after: str = "") -> list[Path]:
        found = self._folder.glob(f"*{_ENTRY}")
        return sorted(path for path in found if path.stem > after)

    def _write(self, entry: Entry) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f"{entry.id}{_PARTIAL}"
        line = to_json(entry).encode()
        try:
            with partial.open("wb") as file:
                file.write(b"%s\n%s\n" % (_checksum(line), line))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(partial.with_suffix(_ENTRY))
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        _flush_folder(self._folder)


def _read(path: Path) -> Entry | None:
    """The entry in a file, or `None` if it is not what was written."""
    try:
        checksum, line = path.read_bytes().splitlines()
        return from_json(Entry, line) if checksum == _checksum(line) else None
    except (OSError, ValueError, TypeError):
        return None


def _set_aside(path: Path) -> str:
    aside = path.with_suffix(_DAMAGED)
    with contextlib.suppress(OSError):
        path.replace(aside)
    return f"an entry of the journal is damaged and was set aside: {aside}"


def _checksum(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest().encode()


def _why_unkept(folder: Path, error: OSError) -> str:
    if error.errno in FULL:
        return f"there is no room on the disk of {folder}"
    return f"{folder} cannot be written: {error.strerror or error}"


def _flush_folder(folder: Path) -> None:
    """Makes the name of a new file last, where a folder can be opened for that."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
