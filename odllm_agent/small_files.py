"""The small files by which Linux tells its state, read as text, a word or a number."""

from collections.abc import Iterable
from pathlib import Path


def read_text(path: Path) -> str | None:
    """A small file's text, or `None` where it cannot be read; sensors come and go."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def read_word(path: Path) -> str | None:
    """A small file's one word, or `None` where it cannot be read or is empty."""
    return (read_text(path) or "").strip() or None


def read_int(path: Path) -> int | None:
    """A small file's number, or `None` where it cannot be read or holds none."""
    text = read_text(path)
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def read_ints(paths: Iterable[Path]) -> list[int]:
    """The numbers of those of the files that hold one."""
    return [value for value in map(read_int, paths) if value is not None]
