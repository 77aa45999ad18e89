"""Where the files of a cache lie, what is known of each, and taking them away."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from odllm_agent.models.checksum import joint_sha256, sha256_of
from odllm_agent.models.split import numbered_names, part_names

_SHA256 = re.compile("[0-9a-f]{64}")
_FILE = re.compile(r"([0-9a-f]{64})(?:-\d{5}-of-\d{5})?\.gguf")

Note = Mapping[str, object]
"""What is known of where a model of the cache comes from."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a cache, or a file that is not finished.

    Attributes:
        key: The checksum of the model; of an unfinished file, the name that it has meanwhile.
        paths: Its files that are there, the first part first.
        file_bytes: Their size together.
        used_at: When it was last asked for, in UTC.
        finished: Whether all of its files are there.
    """

    key: str
    paths: tuple[Path, ...]
    file_bytes: int
    used_at: datetime
    finished: bool


class Shelf:
    """The folders of a cache.

    `files` holds finished files, each named by the checksum of its model; `unfinished` those that
    are being made or fetched; `derived` and `fetched` a note for each file on what it was made of
    or where it came from; `used` an empty file per model, whose time is that of its last use.

    Args:
        root: The cache's folder.
    """

    def __init__(self, root: Path) -> None:
        self.files = root / "files"
        self.unfinished = root / "unfinished"
        self._notes = {kind: root / kind for kind in ("derived", "fetched")}
        self._used = root / "used"
        self._locks = root / "locks"

    def open(self) -> None:
        """Makes the folders that are not there."""
        for folder in (
            self.files, self.unfinished, self._used, self._locks, *self._notes.values()
        ):  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)

    def lock(self, key: str) -> FileLock:
        """What whoever makes, fetches or removes the files of that key holds meanwhile."""
        return FileLock(self._locks / f"{key}.lock")

    def places(self, sha256: str, count: int = 1) -> tuple[Path, ...]:
        """Where the files of a model of so many parts belong."""
        return tuple(self.files / name for name in numbered_names(sha256, count))

    def parts(self, sha256: str) -> tuple[Path, ...]:
        """All files of the model with that checksum, or none if it is not whole."""
        whole = self.files / f"{sha256}.gguf"
        for first in (whole, *self.files.glob(f"{sha256}-00001-of-*.gguf")):
            paths = tuple(self.files / name for name in part_names(first.name))
            if all(path.exists() for path in paths):
                return paths
        return ()

    def is_right(self, sha256: str) -> bool:
        """Whether the model with that checksum is there, can be read, and really has it."""
        paths = self.parts(sha256)
        with suppress(OSError):
            return bool(paths) and joint_sha256([sha256_of(path) for path in paths]) == sha256
        return False

    def touch(self, sha256: str) -> None:
        """Remembers that the model was asked for just now, where that can be written down."""
        with suppress(OSError):
            self._used.mkdir(parents=True, exist_ok=True)
            (self._used / sha256).touch()

    def entries(self) -> tuple[Entry, ...]:
        """Everything that takes room, the least recently used first."""
        models: defaultdict[str, dict[Path, os.stat_result]] = defaultdict(dict)
        for path, found in _files_in(self.files):
            if match := _FILE.fullmatch(path.name):
                models[match[1]][path] = found
        unfinished = [_unfinished(path, found) for path, found in _files_in(self.unfinished)]
        used = {path.name: found for path, found in _files_in(self._used)}
        entries = [self._entry(key, files, used.get(key)) for key, files in models.items()]
        return tuple(sorted([*entries, *unfinished], key=lambda entry: entry.used_at))

    def remove(self, entry: Entry) -> bool:
        """Takes an entry away with its notes, unless it is being made or fetched, or is held open.

        Returns:
            Whether it is gone.
        """
        try:
            with self.lock(entry.key).acquire(timeout=0):
                for path in entry.paths:
                    path.unlink(missing_ok=True)
                (self._used / entry.key).unlink(missing_ok=True)
                for path, note in self._read_notes():
                    if note["sha256"] == entry.key:
                        path.unlink(missing_ok=True)
        except (Timeout, PermissionError):
            # Windows does not remove a file that a process has open.
            return False
        return True

    def noted_sha256(self, kind: str, key: str) -> str | None:
        """The checksum of the model that a note tells of, or `None` if there is no such note."""
        note = _read_note(self.note_path(kind, key))
        return str(note["sha256"]) if note else None

    def note_path(self, kind: str, key: str) -> Path:
        """Where a note of that kind and key belongs."""
        return self._notes[kind] / f"{key}.json"

    def made_from(self) -> Mapping[str, Sequence[Note]]:
        """What the notes say of each model, by its checksum."""
        found: defaultdict[str, list[Note]] = defaultdict(list)
        for _, note in self._read_notes():
            told = {key: note[key] for key in note if key not in {"sha256", "file_bytes"}}
            found[str(note["sha256"])].append(told)
        return found

    def _entry(
        self, sha256: str, files: Mapping[Path, os.stat_result], used: os.stat_result | None
    ) -> Entry:
        return Entry(
            key=sha256,
            paths=tuple(sorted(files)),
            file_bytes=sum(found.st_size for found in files.values()),
            used_at=_changed_at(used or max(files.values(), key=lambda found: found.st_mtime)),
            finished=bool(self.parts(sha256)),
        )

    def _read_notes(self) -> Iterator[tuple[Path, Note]]:
        for folder in self._notes.values():
            for path, _ in _files_in(folder):
                if note := _read_note(path):
                    yield path, note


def _read_note(path: Path) -> Note | None:
    """What a note says; nothing if it is not there, or not one that was written whole."""
    with suppress(FileNotFoundError, ValueError):
        note = json.loads(path.read_bytes())
        if isinstance(note, dict) and _SHA256.fullmatch(str(note.get("sha256"))):
            return note
    return None


def _unfinished(path: Path, found: os.stat_result) -> Entry:
    return Entry(path.stem, (path,), found.st_size, _changed_at(found), finished=False)


def _files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files of a folder in the order of their names; one that is just vanishing is left out."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            yield path, path.stat()


def _changed_at(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)
