"""Checksums of files."""

import hashlib
import os
from pathlib import Path

from odllm_agent.clock import now

# A file changed twice within one tick of its file system's clock looks unchanged. No file system
# in use ticks more slowly than FAT, at 2 s.
_SETTLED_AFTER_S = 3.0

_known: dict[tuple[int, ...], str] = {}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits.

    A process reads a file again only if its place, size or times have changed since, or if it was
    changed only just before it was read.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        identity = (
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        )  # fmt: skip
        if identity in _known:
            return _known[identity]
        settled = now().timestamp() - max(found.st_mtime, found.st_ctime) > _SETTLED_AFTER_S
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if settled:
        _known[identity] = digest
    return digest
