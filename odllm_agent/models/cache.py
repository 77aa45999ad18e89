"""The device's own store of model files that were made here, by content."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from odllm_agent.contract import Quantization
from odllm_agent.models.checksum import sha256_of
from odllm_agent.place import cache_root, disk_full, write_error

_SHA256 = re.compile("[0-9a-f]{64}")
# The least that the header of a model with a whole vocabulary takes.
_SKELETON_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a file was made from, and how: the same derivation gives the same bytes on a device.

    Attributes:
        source_sha256: The checksum of the file that it was made from.
        quantization: The type that was made.
        quantizer: The version of the program that made it.
    """

    source_sha256: str
    quantization: Quantization
    quantizer: str

    @property
    def key(self) -> str:
        """A name for the derivation that any file system takes."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of the cache whose content was found right.

    Attributes:
        path: Where it lies.
        sha256: The checksum of its bytes.
    """

    path: Path
    sha256: str


class Cache:
    """A folder of model files, each named by the checksum of its bytes.

    Several processes may use one folder at the same time. The files lie in `files`; `derived` has
    one small file per derivation that tells which file it gave.

    Args:
        root: The folder; made when it is first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = root / "files"
        self._derived = root / "derived"
        self._locks = root / "locks"

    @classmethod
    def of_this_device(cls) -> "Cache":
        """The cache in `ODLLM_CACHE_DIR`, or in the folder that this system has for caches."""
        return cls(cache_root())

    def derived(
        self, derivation: Derivation, make: Callable[[Path], None], at_least_bytes: int
    ) -> CachedFile:
        """The file of a derivation: the one that is there if its content is right, or a new one.

        Args:
            derivation: What the file is made from, and how.
            make: Writes the file to the path that it is given.
            at_least_bytes: The disk space that the file surely needs.

        Raises:
            DiskFull: There is no room for the file.
            UsageError: The cache's folder cannot be written to.
        """
        with self._errors_told(at_least_bytes):
            for folder in (self._files, self._derived, self._locks):
                folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._locks / f"{derivation.key}.lock"):
                return self._find(derivation) or self._make(derivation, make, at_least_bytes)

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
        """The file of that content, or `None`; a file whose content is wrong is removed."""
        path = self._files / f"{sha256}.gguf"
        if not path.exists():
            return None
        if sha256_of(path) == sha256:
            return CachedFile(path, sha256)
        path.unlink()
        return None

    def path_of(self, derivation: Derivation) -> Path | None:
        """Where the file of a derivation lies, if it is there; its content is not checked."""
        sha256 = self._noted(derivation)
        path = self._files / f"{sha256}.gguf"
        return path if sha256 and path.exists() else None

    def _find(self, derivation: Derivation) -> CachedFile | None:
        sha256 = self._noted(derivation)
        return self.file(sha256) if sha256 else None

    def _noted(self, derivation: Derivation) -> str | None:
        try:
            told = json.loads((self._derived / f"{derivation.key}.json").read_bytes())
            sha256 = str(told["sha256"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return sha256 if _SHA256.fullmatch(sha256) else None

    def _make(
        self, derivation: Derivation, make: Callable[[Path], None], at_least_bytes: int
    ) -> CachedFile:
        partial = self._files / f"{derivation.key}.part"
        # One may have been left by a process that was killed. It may still be open in a child of
        # that process, so it is removed, never written over.
        partial.unlink(missing_ok=True)
        try:
            refuse_full_disk(self._files, at_least_bytes)
            make(partial)
            _flush(partial)
            return self._keep(partial, derivation)
        finally:
            partial.unlink(missing_ok=True)

    def _keep(self, partial: Path, derivation: Derivation) -> CachedFile:
        sha256 = sha256_of(partial)
        # The index comes first: if it cannot be written, no file lies about that nothing names.
        self._write_index(derivation, sha256, partial.stat().st_size)
        path = self._files / f"{sha256}.gguf"
        partial.replace(path)
        _flush_folder(self._files)
        return CachedFile(path, sha256)

    def _write_index(self, derivation: Derivation, sha256: str, file_bytes: int) -> None:
        content = asdict(derivation) | {"sha256": sha256, "file_bytes": file_bytes}
        partial = self._derived / f"{derivation.key}.part"
        try:
            partial.write_text(json.dumps(content, indent=1) + "\n")
            _flush(partial)
            partial.replace(partial.with_suffix(".json"))
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _errors_told(self, at_least_bytes: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(self._files, error, at_least_bytes) from error


def refuse_full_disk(folder: Path, at_least_bytes: int) -> None:
    """Makes sure that so many bytes find room in a folder.

    Raises:
        DiskFull: They do not.
    """
    if shutil.disk_usage(folder).free < at_least_bytes:
        raise disk_full(folder, at_least_bytes)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Makes a rename last; on Windows a folder can't be opened, and renames last by themselves."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
