"""Where a model starts from on this device."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """A file that a source has found or made.

    Attributes:
        path: The file.
        sha256: The checksum that the source vouches for, or `None` if it knows none.
    """

    path: Path
    sha256: str | None = None
