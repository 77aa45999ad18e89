"""Where a model starts from on this device."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.formats.header import Header


@dataclass(frozen=True, slots=True)
class Origin:
    """A file that a source has found or made.

    Attributes:
        path: The file. Where `fill` is given, it has a hole in the place of its weights.
        sha256: The checksum that the source vouches for, or `None` if it knows none. Where `fill`
            is given, it stands for all that decides on the bytes of a filled file but its type.
        fill: Writes weights into a file made after this one, of any type, that has a hole too.
        no_quality: Why its quality cannot be told, or `""`.
        download_bytes: Of a source that was only foreseen: what has still to be fetched. The file
            then has a hole in the place of its weights.
        kept_bytes: Of such a source: what will be in the cache once it was fetched.
    """

    path: Path
    sha256: str | None = None
    fill: Callable[[Header], None] | None = None
    no_quality: str = ""
    download_bytes: int = 0
    kept_bytes: int = 0
