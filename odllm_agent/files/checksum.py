"""Checksums of files."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from odllm_agent.clock import now
from odllm_agent.contract import FileState
from odllm_agent.errors import ModelInvalid

# A file changed twice within one tick of its file system's clock looks unchanged. No file system
# in use ticks more slowly than FAT, at 2 s.
_SETTLED_AFTER_S = 3.0

Identity = tuple[int, ...]
"""What tells one state of a file from any other: its place, size and times."""

_known: dict[Identity, str] = {}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits.

    A process reads a file again only if its place, size or times have changed since, or if it was
    changed only just before it was read.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        identity = _identity(found)
        if identity in _known:
            return _known[identity]
        settled = now().timestamp() - max(found.st_mtime, found.st_ctime) > _SETTLED_AFTER_S
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if settled:
        _known[identity] = digest
    return digest


def state(path: Path, sha256: str) -> FileState:
    """A file as it is now.

    Args:
        path: The file.
        sha256: The checksum of its bytes.

    Raises:
        OSError: There is no such file, or nothing can be told of it.
    """
    return _state(path, sha256, path.stat())


def read_through(parts: Iterable[Path]) -> tuple[FileState, ...]:
    """Each file of a model as it is now, its checksum taken.

    Raises:
        ModelInvalid: One cannot be read through.
    """
    try:
        # As it was before it was read: what is written to it meanwhile shows in its next state.
        found = [(part, part.stat()) for part in parts]
        return tuple(_state(part, sha256_of(part), stat) for part, stat in found)
    except OSError as error:
        raise ModelInvalid(
            f"the model file {error.filename or 'itself'} cannot be read through: {error.strerror}",
            "check that it is still there and that its disk is sound",
        ) from error


def trust(readings: Mapping[Identity, str]) -> None:
    """Takes over what another process has read: the checksum of each state of a file."""
    _known.update(readings)


def readings(paths: Iterable[Path]) -> dict[Identity, str]:
    """The checksums of those files that need not be read again, by their state."""
    identities = [_identity(path.stat()) for path in paths]
    return {identity: _known[identity] for identity in identities if identity in _known}


def listed_sha256(files: Iterable[Path]) -> str:
    """The SHA-256 that stands for files with their names.

    It is that of the list of their checksums, one a line with the file's name, as `sha256sum` in
    their folder prints it.
    """
    return _listed((sha256_of(file), file.name) for file in files)


def folder_sha256(files: Iterable[FileState]) -> str:
    """The same of files whose checksums were taken."""
    return _listed((file.sha256, Path(file.path).name) for file in files)


def joint_sha256(parts: Sequence[str]) -> str:
    """The SHA-256 that stands for a model of so many files.

    Of one file it is the file's own. Of a split model it is that of the list of the parts'
    checksums, one a line: `sha256sum NAME-*-of-*.gguf | cut -c1-64 | sha256sum` prints it.

    Args:
        parts: The checksum of each file, in the order of the parts.
    """
    if len(parts) == 1:
        return parts[0]
    return hashlib.sha256("".join(f"{part}\n" for part in parts).encode()).hexdigest()


def _listed(files: Iterable[tuple[str, str]]) -> str:
    listed = "".join(f"{sha256}  {name}\n" for sha256, name in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def _state(path: Path, sha256: str, found: os.stat_result) -> FileState:
    return FileState(str(path), sha256, *_identity(found))


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
