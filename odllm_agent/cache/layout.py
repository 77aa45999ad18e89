"""Where the files of a cache lie, what is known of each, and taking them away."""

import json
import os
import re
import shutil
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISDIR

from filelock import FileLock, Timeout

from odllm_agent.clock import now
from odllm_agent.files.checksum import (
    Identity,
    joint_sha256,
    listed_sha256,
    readings,
    sha256_of,
    trust,
)
from odllm_agent.formats.split import numbered_names, part_names

_SHA256 = re.compile("[0-9a-f]{64}")
_FILE = re.compile(r"([0-9a-f]{64})((-\d{5}-of-\d{5})?\.gguf)?")
# Of `st_blocks`, whatever the file system's own are.
_BLOCK_BYTES = 512
# Bits can rot on a disk without any time of a file telling.
_READ_AGAIN_AFTER_S = 24 * 3600

Note = Mapping[str, object]
"""What is known of where a model of the cache comes from."""


_NOTES = ("derived", "converted", "imatrix", "fetched")


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One model of a cache, or a file that is not finished.

    Attributes:
        key: The checksum of the model; of an unfinished file, the name that it has meanwhile.
        paths: Its files that are there, the first part first; of a model in OpenVINO's form, its
            folder.
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

    `files` holds finished models, each named by its checksum: files, and folders in OpenVINO's
    form; `unfinished` those that are being made or fetched; `derived`, `converted`, `imatrix`
    and `fetched` a note for each on what it was made of or where it came from; `read` when each was
    last read through, and which state of its files that was; `used` an empty file per model, whose
    time is that of its last use; `held` a locked file for each process that was given a model.

    Args:
        root: The cache's folder.
    """

    def __init__(self, root: Path) -> None:
        self.files = root / "files"
        self.unfinished = root / "unfinished"
        self._notes = {kind: root / kind for kind in _NOTES}
        self._read = root / "read"
        self._used = root / "used"
        self._held = root / "held"
        self._locks = root / "locks"

    def open(self) -> None:
        """Makes the folders that are not there."""
        own = (self.files, self.unfinished, self._read, self._used, self._held, self._locks)
        for folder in (*own, *self._notes.values()):
            folder.mkdir(parents=True, exist_ok=True)

    def lock(self, key: str) -> FileLock:
        """What whoever makes, fetches or removes the files of that key holds meanwhile."""
        return FileLock(self._locks / f"{key}.lock")

    def hold(self, sha256: str) -> FileLock | None:
        """Keeps a model from being removed until what is given back is gone, or its process is.

        Returns:
            `None` where nothing can be written: then nothing can be removed either.
        """
        with suppress(OSError):
            self.open()
            lock = FileLock(self._held / f"{sha256}-{uuid.uuid4().hex}.lock", thread_local=False)
            with self.room():
                lock.acquire()
            return lock
        return None

    def room(self) -> FileLock:
        """What whoever makes room holds meanwhile, so that nobody is given what is just removed."""
        return self.lock("room")

    def held(self) -> set[str]:
        """The models that any process was given and may still use; `room` must be held."""
        return {path.name[:64] for path, _ in _entries_in(self._held) if _is_locked(path)}

    def places(self, sha256: str, count: int = 1) -> tuple[Path, ...]:
        """Where the files of a model of so many parts belong."""
        return tuple(self.files / name for name in numbered_names(sha256, count))

    def place(self, made: Path, sha256: str) -> Path:
        """Where what was made belongs: a file, or a folder in OpenVINO's form."""
        return self.files / sha256 if made.is_dir() else self.places(sha256)[0]

    def parts(self, sha256: str) -> tuple[Path, ...]:
        """All files of the model with that checksum or its folder, or none if it is not whole."""
        folder, whole = self.files / sha256, self.files / f"{sha256}.gguf"
        for first in (folder, whole, *self.files.glob(f"{sha256}-00001-of-*.gguf")):
            paths = tuple(self.files / name for name in part_names(first.name))
            if all(path.exists() for path in paths):
                return paths
        return ()

    def is_right(self, sha256: str, *, anew: bool = False) -> bool:
        """Whether the model with that checksum is there, can be read, and really has it.

        It is not read again for a day unless a size or time of its files has changed.

        Args:
            sha256: The checksum.
            anew: Whether to read it in any case.
        """
        with suppress(OSError):
            return self._reads_as(sha256, {} if anew else self._noted_readings(sha256))
        return False

    def _reads_as(self, sha256: str, noted: dict[Identity, str]) -> bool:
        paths = self.parts(sha256)
        trust(noted)
        if not paths or joint_sha256([content_sha256(path) for path in paths]) != sha256:
            return False
        files = [file for path in paths for file in _files_of(path)]
        found = readings(files)
        if len(found) == len(files) and found != noted:
            self._note_readings(sha256, found)
        return True

    def _noted_readings(self, sha256: str) -> dict[Identity, str]:
        """What was read of a model, by any process within the last day."""
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            note = json.loads((self._read / f"{sha256}.json").read_bytes())
            if now().timestamp() - note["read_at"] < _READ_AGAIN_AFTER_S:
                return {tuple(identity): str(of_file) for identity, of_file in note["files"]}
        return {}

    def _note_readings(self, sha256: str, found: Mapping[Identity, str]) -> None:
        content = {"read_at": now().timestamp(), "files": [*found.items()]}
        with suppress(OSError):
            self._read.mkdir(parents=True, exist_ok=True)
            write_whole(self._read / f"{sha256}.json", content)

    def touch(self, sha256: str) -> None:
        """Remembers that the model was asked for just now, where that can be written down."""
        with suppress(OSError):
            self._used.mkdir(parents=True, exist_ok=True)
            (self._used / sha256).touch()

    def entries(self) -> tuple[CacheEntry, ...]:
        """Everything that takes room, the least recently used first."""
        models: defaultdict[str, dict[Path, os.stat_result]] = defaultdict(dict)
        for path, found in _entries_in(self.files):
            if match := _FILE.fullmatch(path.name):
                models[match[1]][path] = found
        unfinished = [
            CacheEntry(path.stem, (path,), content_bytes(path), _changed_at(found), finished=False)
            for path, found in _entries_in(self.unfinished)
        ]
        used = {path.name: found for path, found in _entries_in(self._used)}
        entries = [self._entry(key, files, used.get(key)) for key, files in models.items()]
        return tuple(sorted([*entries, *unfinished], key=lambda entry: entry.used_at))

    def remove(self, entry: CacheEntry) -> bool:
        """Takes an entry away with its notes, unless it is being made or fetched, or is held open.

        `room` must be held, and the entry not among those in `held`.

        Returns:
            Whether it is gone.
        """
        try:
            with self.lock(entry.key).acquire(timeout=0):
                for path in (
                    *entry.paths,
                    self._used / entry.key,
                    self._read / f"{entry.key}.json",
                ):
                    erase(path)
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
    ) -> CacheEntry:
        return CacheEntry(
            key=sha256,
            paths=tuple(sorted(files)),
            file_bytes=sum(content_bytes(path) for path in files),
            used_at=_changed_at(used or max(files.values(), key=lambda found: found.st_mtime)),
            finished=bool(self.parts(sha256)),
        )

    def _read_notes(self) -> Iterator[tuple[Path, Note]]:
        for folder in self._notes.values():
            for path, _ in _entries_in(folder):
                if note := _read_note(path):
                    yield path, note


def content_sha256(path: Path) -> str:
    """The checksum of a file, or of all files of a folder."""
    return listed_sha256(_files_of(path)) if path.is_dir() else sha256_of(path)


def content_bytes(path: Path, *, allocated: bool = False) -> int:
    """The size of a file, or of all files in a folder; 0 of one that is not there.

    Args:
        path: The file or folder.
        allocated: Whether holes do not count, where the system tells of them.
    """
    with suppress(FileNotFoundError):
        # The model that is being converted is linked into the folder.
        inside = path.rglob("*") if path.is_dir() else (path,)
        found = [each for each in (file.lstat() for file in inside) if not S_ISDIR(each.st_mode)]
        if allocated and sys.platform != "win32":
            return sum(each.st_blocks * _BLOCK_BYTES for each in found)
        return sum(each.st_size for each in found)
    return 0


def erase(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_whole(path: Path, content: object) -> None:
    """Writes JSON that is there as a whole or not at all, and lasts.

    Raises:
        OSError: It cannot be written.
    """
    partial = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.part")
    try:
        partial.write_text(json.dumps(content, indent=1) + "\n")
        flush(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Makes the content of a file, or of all files of a folder, last."""
    for each in _files_of(path):
        with each.open("rb+") as file:
            os.fsync(file.fileno())


def _files_of(path: Path) -> tuple[Path, ...]:
    """The file itself, or the files of a folder in the order of their names."""
    return tuple(sorted(path.iterdir())) if path.is_dir() else (path,)


def _is_locked(path: Path) -> bool:
    """Whether a process holds the lock; one that none holds any more is removed."""
    try:
        with FileLock(path).acquire(timeout=0):
            pass
    except Timeout:
        return True
    path.unlink(missing_ok=True)
    return False


def _read_note(path: Path) -> Note | None:
    """What a note says; nothing if it is not there, or not one that was written whole."""
    with suppress(FileNotFoundError, ValueError):
        note = json.loads(path.read_bytes())
        if isinstance(note, dict) and _SHA256.fullmatch(str(note.get("sha256"))):
            return note
    return None


def _entries_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What is in a folder in the order of its names; what is just vanishing is left out."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            yield path, path.stat()


def _changed_at(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)
