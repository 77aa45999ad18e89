"""The device's own store of model files that were made or fetched here, by content."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from filelock import FileLock

from odllm_agent.cache.growth import growing
from odllm_agent.cache.layout import (
    CacheEntry,
    Note,
    Shelf,
    content_bytes,
    content_sha256,
    erase,
    flush,
    write_whole,
)
from odllm_agent.contract import EventKind, Progress, Quantization
from odllm_agent.errors import ChecksumMismatch, DiskFull, DownloadFailed, ModelError, UsageError
from odllm_agent.files.checksum import joint_sha256, sha256_of
from odllm_agent.files.folders import cache_root, disk_full, write_error
from odllm_agent.files.size import bytes_text, parse_bytes

LIMIT_VARIABLE = "ODLLM_CACHE_MAX_BYTES"
# The least that the header of a model with a whole vocabulary takes.
_SKELETON_BYTES = 2_000_000
_NOTHING: Note = MappingProxyType({})

Tell = Callable[[Progress], None]
"""Is told how far a file is."""

Report = Callable[[EventKind, str], None]
"""Is told which model was added or removed: its checksum, and the rest in words."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model of the cache comes from."""

    folder: ClassVar[str]

    @property
    def key(self) -> str:
        """A name for it that any file system takes."""
        told = {name: value for name, value in asdict(self).items() if value}
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Making(Provenance):
    """How something was made of a model on this device.

    Attributes:
        source_sha256: The checksum of the model that it was made from.
    """

    source_sha256: str


@dataclass(frozen=True, slots=True)
class Derivation(Making):
    """What a file was made from, and how: the same derivation gives the same bytes on a device.

    Attributes:
        quantization: What it was made to be.
        quantizer: The version of the program that made it.
        imatrix_sha256: The checksum of the importance matrix by which it was made, or `""`.
    """

    folder: ClassVar[str] = "derived"

    quantization: Quantization
    quantizer: str
    imatrix_sha256: str = ""

    def __str__(self) -> str:
        return f"making {self.quantization}"


@dataclass(frozen=True, slots=True)
class Importance(Making):
    """Which model an importance matrix was made with, and of what.

    Attributes:
        text_sha256: The checksum of the text that the model read.
        first_token: The first of its tokens that was read.
        collector: The version of what made it.
    """

    folder: ClassVar[str] = "imatrix"

    text_sha256: str
    first_token: int
    collector: str

    def __str__(self) -> str:
        return "making an importance matrix"


@dataclass(frozen=True, slots=True)
class Conversion(Making):
    """Which model file a folder in OpenVINO's form is a form of.

    Attributes:
        reader: The version of what converted it.
    """

    folder: ClassVar[str] = "converted"

    reader: str

    def __str__(self) -> str:
        return "converting for OpenVINO"


@dataclass(frozen=True, slots=True)
class Download(Provenance):
    """Where a model was fetched from.

    Attributes:
        location: A place whose bytes never change, such as a file of a hub at a commit.
    """

    folder: ClassVar[str] = "fetched"

    location: str

    def __str__(self) -> str:
        return f"fetching {self.location}"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model as its server describes it.

    Attributes:
        name: What the server calls it.
        sha256: The checksum of its bytes.
        file_bytes: Its size.
    """

    name: str
    sha256: str
    file_bytes: int


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A model of the cache.

    Attributes:
        path: Where its file, the first of its parts, or its folder lies.
        sha256: The checksum that stands for it.
    """

    path: Path
    sha256: str


def tell_nobody(_: Progress) -> None:
    """Tells nobody."""


def report_nowhere(_: EventKind, __: str) -> None:
    """Tells nobody."""


class Cache:
    """A folder of model files, each named by the checksum of its content.

    Several processes may use one folder at the same time. With a limit, the models that were not
    used for the longest time make room for new ones; those stay that are being made, or that an
    object like this has given out, in whichever process, as long as it lives.

    Args:
        root: The folder; made when it is first written to.
        limit_bytes: What all of its files together may take, or `None` for no limit.
        tell: Is told how far what is fetched or made is.
        report: Is told of every model that is added or removed.
    """

    def __init__(
        self,
        root: Path,
        limit_bytes: int | None = None,
        tell: Tell = tell_nobody,
        report: Report = report_nowhere,
    ) -> None:
        self.root = root
        self.limit_bytes = limit_bytes
        self.tell = tell
        self.report = report
        self.shelf = Shelf(root)
        self._given: dict[str, FileLock | None] = {}
        self._busy: set[str] = set()

    @classmethod
    def of_this_device(cls, tell: Tell = tell_nobody, report: Report = report_nowhere) -> "Cache":
        """The cache in `ODLLM_CACHE_DIR`, or in the folder that this system has for caches.

        Its limit is `ODLLM_CACHE_MAX_BYTES`, such as 50GB; there is none where that is not set.

        Raises:
            UsageError: The limit is no size.
        """
        return cls(cache_root(), _limit_bytes(), tell, report)

    def derived(
        self,
        derivation: Making,
        make: Callable[[Path], None],
        at_least_bytes: int,
    ) -> CachedFile:
        """What was made of a model: the one that is there if its content is right, or a new one.

        Args:
            derivation: What it is made from, and how.
            make: Writes a file, or a folder of files, to the path that it is given.
            at_least_bytes: The disk space that it surely needs.

        Raises:
            DiskFull: There is no room for it, on the disk or within the limit.
            UsageError: The cache's folder cannot be written to.
        """
        with self._writing(derivation.key, at_least_bytes):
            return self.find(derivation) or self._make(derivation, make, at_least_bytes)

    def fetched(
        self,
        download: Download,
        files: Sequence[RemoteFile],
        fetch: Callable[[RemoteFile, Path], None],
        told: Note = _NOTHING,
    ) -> CachedFile:
        """The model of a download: what of it is there and right stays, the rest is fetched.

        What was fetched of a file when the connection broke, or the process ended, stays too, and
        the next call goes on from there.

        Args:
            download: Where the model comes from.
            files: All files of the model, in the order of its parts.
            fetch: Adds the rest of a file to what the path that it is given holds already.
            told: What else is to be known of how it came.

        Raises:
            ChecksumMismatch: What came is not what the server describes.
            DiskFull: There is no room for the model, on the disk or within the limit.
            UsageError: The cache's folder cannot be written to.
        """
        sha256 = joint_sha256([file.sha256 for file in files])
        places = self.shelf.places(sha256, len(files))
        all_bytes = sum(file.file_bytes for file in files)
        with self._writing(sha256, all_bytes):
            missing = {
                file: place
                for file, place in zip(files, places, strict=True)
                if not (place.exists() and sha256_of(place) == file.sha256)
            }
            self._have_room(sum(self._missing_bytes(file) for file in missing))
            for file, place in missing.items():
                self._fetch(file, place, fetch)
            if missing or self.shelf.noted_sha256(download.folder, download.key) != sha256:
                self._write_note(download, sha256, all_bytes, told if missing else {})
            if missing:
                self._report_added(sha256, all_bytes, f"{download}", told)
            return self._given_out(places[0], sha256)

    @contextmanager
    def unpacking(self, download: Download) -> Iterator[Path]:
        """A folder for archives that a model is taken out of; gone once it was, or cannot be.

        What lies in it when a connection breaks, or the process ends, stays for the next call.

        Args:
            download: Where the archives come from; who else wants to unpack them waits.

        Raises:
            DiskFull: There is no room for what was written into it.
            UsageError: The cache's folder cannot be written to.
        """
        with self._writing(download.key, 0):
            folder = self._partial(download.key)
            folder.mkdir(exist_ok=True)
            stays = False
            try:
                yield folder
            except (DownloadFailed, KeyboardInterrupt):
                stays = any(folder.iterdir())
                raise
            finally:
                if not stays:
                    erase(folder)

    def find(self, source: Provenance) -> CachedFile | None:
        """The model that was made or fetched so before, if it is there and its content is right.

        Raises:
            UsageError: The cache's folder cannot be read.
        """
        with self._errors_told(0):
            sha256 = self.shelf.noted_sha256(source.folder, source.key)
        return self.file(sha256) if sha256 else None

    def made_from(self) -> Mapping[str, Sequence[Note]]:
        """What is known of where each model comes from, by its checksum.

        Raises:
            UsageError: The cache's folder cannot be read.
        """
        with self._errors_told(0):
            return self.shelf.made_from()

    def skeleton(self, name: str, write: Callable[[Path], None]) -> Path:
        """A file with a hole in the place of its weights, written anew.

        Args:
            name: What to call it.
            write: Writes the file to the path that it is given.

        Raises:
            DiskFull: There is no room for the file's header.
            UsageError: The cache's folder cannot be written to.
        """
        path = self.root / "skeletons" / f"{name}.gguf"
        partial = path.with_name(f"{name}-{os.getpid()}.part")
        with self._errors_told(_SKELETON_BYTES):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def file(self, sha256: str) -> CachedFile | None:
        """The model of that content, or `None`; a file whose content is wrong is removed.

        Of a split model only its server knows which part is wrong: `fetched` gets that one again.
        """
        with self._errors_told(0):
            paths = self.shelf.parts(sha256)
            if self.shelf.is_right(sha256):
                return self._given_out(paths[0], sha256)
            if len(paths) == 1:
                erase(paths[0])
                self.report(EventKind.MODEL_REMOVED, f"{sha256}: its content had changed")
            return None

    def noted(self, source: Provenance) -> CachedFile | None:
        """The model that was made or fetched so before, if it is there; not read through.

        Raises:
            UsageError: The cache's folder cannot be read.
        """
        with self._errors_told(0):
            sha256 = self.shelf.noted_sha256(source.folder, source.key)
            parts = self.shelf.parts(sha256) if sha256 else ()
            return CachedFile(parts[0], sha256) if sha256 and parts else None

    def entries(self) -> tuple[CacheEntry, ...]:
        """Everything that takes room, the least recently used first.

        Raises:
            UsageError: The cache's folder cannot be read.
        """
        with self._errors_told(0):
            return self.shelf.entries()

    def hold(self, sha256: str) -> None:
        """Keeps the model of that content, if it is there, as long as this object lives."""
        if sha256 not in self._given and self.shelf.parts(sha256):
            self._given[sha256] = self.shelf.hold(sha256)

    def let_go(self, sha256: str) -> None:
        """No longer keeps a model that this object has given out."""
        lock = self._given.pop(sha256, None)
        if lock:
            lock.release()

    def remove(self, entry: CacheEntry) -> bool:
        """Takes an entry away, unless it is being made or fetched or a process was given it.

        Returns:
            Whether it is gone.
        """
        with self._errors_told(0), self.shelf.room():
            return entry.key not in self.shelf.held() and self._removed(entry, "as asked for")

    def _given_out(self, path: Path, sha256: str) -> CachedFile:
        self.hold(sha256)
        self.shelf.touch(sha256)
        return CachedFile(path, sha256)

    def _make(
        self,
        derivation: Making,
        make: Callable[[Path], None],
        at_least_bytes: int,
    ) -> CachedFile:
        partial = self._partial(derivation.key)
        # One may have been left by a process that was killed. It may still be open in a child of
        # that process, so it is removed, never written over.
        erase(partial)
        try:
            self._have_room(at_least_bytes)
            with growing(partial, str(derivation), at_least_bytes, self.tell):
                make(partial)
            self._keep_limit(0)
            flush(partial)
            return self._keep(partial, derivation)
        finally:
            erase(partial)

    def _keep(self, partial: Path, derivation: Making) -> CachedFile:
        sha256 = content_sha256(partial)
        # The note comes first: if it cannot be written, no file lies about that nothing names.
        self._write_note(derivation, sha256, content_bytes(partial))
        place = self.shelf.place(partial, sha256)
        file_bytes = content_bytes(partial)
        self._put(partial, place)
        self._report_added(sha256, file_bytes, f"{derivation} of {derivation.source_sha256}")
        return self._given_out(place, sha256)

    def _missing_bytes(self, file: RemoteFile) -> int:
        """What has still to be fetched of a file."""
        return file.file_bytes - _bytes_there(self._partial(file.sha256), file.file_bytes)

    def _fetch(
        self, file: RemoteFile, place: Path, fetch: Callable[[RemoteFile, Path], None]
    ) -> None:
        partial = self._partial(file.sha256)
        if not _bytes_there(partial, file.file_bytes):
            partial.unlink(missing_ok=True)
        with self._using(file.sha256):
            try:
                fetch(file, partial)
                flush(partial)
                _refuse_other_content(file, partial)
            except (OSError, ChecksumMismatch):
                # A disk that is full would stay so, and what is wrong is the start of nothing.
                partial.unlink(missing_ok=True)
                raise
            except ModelError:
                # Nothing came, or more than the file has.
                if not _bytes_there(partial, file.file_bytes):
                    partial.unlink(missing_ok=True)
                raise
            self._put(partial, place)

    def _put(self, partial: Path, place: Path) -> None:
        if place.is_dir():
            # A folder takes no other's place, even one of the same content.
            erase(place)
        partial.replace(place)
        _flush_folder(place.parent)

    def _have_room(self, more_bytes: int) -> None:
        """Makes sure that so many bytes more find room, on the disk and within the limit.

        Raises:
            DiskFull: They do not.
        """
        self._keep_limit(more_bytes)
        refuse_full_disk(self.shelf.files, more_bytes)

    def _keep_limit(self, more_bytes: int) -> None:
        """Removes the least recently used models until so many bytes more are within the limit."""
        if self.limit_bytes is None:
            return
        with self.shelf.room():
            entries = self.shelf.entries()
            over_bytes = sum(entry.file_bytes for entry in entries) + more_bytes - self.limit_bytes
            needed = self.shelf.held() | self._busy
            free = [entry for entry in entries if entry.key not in needed]
            freed_bytes = sum(entry.file_bytes for entry in free)
            # Nothing is removed for what would not fit even so.
            if freed_bytes >= over_bytes:
                freed_bytes = self._remove_oldest(free, over_bytes)
            if freed_bytes < over_bytes:
                raise self._too_large(over_bytes - freed_bytes)

    def _remove_oldest(self, entries: Sequence[CacheEntry], at_least_bytes: int) -> int:
        """Removes entries in their order until so many bytes are free, and tells how many are."""
        removed_bytes = 0
        for entry in entries:
            if removed_bytes < at_least_bytes and self._removed(entry, "to make room"):
                removed_bytes += entry.file_bytes
        return removed_bytes

    def _removed(self, entry: CacheEntry, why: str) -> bool:
        """Takes an entry away if it can be, and tells of it."""
        gone = self.shelf.remove(entry)
        if gone:
            self.report(
                EventKind.MODEL_REMOVED, f"{entry.key}: {bytes_text(entry.file_bytes)}, {why}"
            )
        return gone

    def _report_added(self, sha256: str, file_bytes: int, how: str, told: Note = _NOTHING) -> None:
        rest = "".join(f", {key.replace('_', ' ')} {value}" for key, value in told.items())
        self.report(EventKind.MODEL_ADDED, f"{sha256}: {bytes_text(file_bytes)}, {how}{rest}")

    def _too_large(self, over_bytes: int) -> DiskFull:
        limit_bytes = self.limit_bytes or 0
        return DiskFull(
            f"the model cache {self.root} may hold {bytes_text(limit_bytes)}, and what is needed "
            f"in it at once takes {bytes_text(limit_bytes + over_bytes)}",
            f"raise {LIMIT_VARIABLE}, or ask for fewer or smaller models in one go",
        )

    def _partial(self, key: str) -> Path:
        return self.shelf.unfinished / f"{key}.part"

    def _write_note(
        self, source: Provenance, sha256: str, file_bytes: int, told: Note = _NOTHING
    ) -> None:
        content = asdict(source) | {"sha256": sha256, "file_bytes": file_bytes, **told}
        write_whole(self.shelf.note_path(source.folder, source.key), content)

    @contextmanager
    def _using(self, key: str) -> Iterator[None]:
        """Keeps what lies under a key from being removed to make room."""
        added = {key} - self._busy
        self._busy |= added
        try:
            yield
        finally:
            self._busy -= added

    @contextmanager
    def _writing(self, key: str, at_least_bytes: int) -> Iterator[None]:
        """Holds a key's lock; whatever lies under the key is in use meanwhile."""
        with self._errors_told(at_least_bytes):
            self.shelf.open()
            with self.shelf.lock(key), self._using(key):
                yield

    @contextmanager
    def _errors_told(self, at_least_bytes: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(self.shelf.files, error, at_least_bytes) from error


def _limit_bytes() -> int | None:
    chosen = os.environ.get(LIMIT_VARIABLE)
    if not chosen:
        return None
    try:
        return parse_bytes(chosen)
    except UsageError as error:
        raise UsageError(f"{LIMIT_VARIABLE}: {error.message}", error.remedy) from error


def _bytes_there(partial: Path, all_bytes: int) -> int:
    """How much of a file is there; nothing of it if what is there can't be its start."""
    there_bytes = partial.stat().st_size if partial.exists() else 0
    return there_bytes if there_bytes <= all_bytes else 0


def _refuse_other_content(file: RemoteFile, partial: Path) -> None:
    found = sha256_of(partial)
    if found != file.sha256:
        raise ChecksumMismatch(
            f"what came as {file.name} has the SHA-256 {found}, and its server states "
            f"{file.sha256}; it was removed",
            "try again; if it comes again, ask who runs the server, or the proxy before it",
        )


def refuse_full_disk(folder: Path, at_least_bytes: int) -> None:
    """Makes sure that so many bytes find room in a folder.

    Raises:
        DiskFull: They do not.
    """
    if shutil.disk_usage(folder).free < at_least_bytes:
        raise disk_full(folder, at_least_bytes)


def _flush_folder(folder: Path) -> None:
    """Makes a rename last; on Windows a folder can't be opened, and renames last by themselves."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
