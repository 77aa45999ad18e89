"""The small files by which Linux tells its state, read as text, a word or a number."""

import re
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


def list_folder(folder: Path, pattern: str = ".*") -> list[Path]:
    """What is in a folder by the order of the numbers in its names; nothing if it cannot be listed.

    Args:
        folder: The folder.
        pattern: A regular expression that the whole of a name must match.
    """
    try:
        paths = [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)]
    except OSError:
        return []
    return sorted(paths, key=lambda path: _in_order(path.name))


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key by which `cpu2` comes before `cpu10`."""
    parts = enumerate(re.split(r"([0-9]+)", name))
    return [(int(part), "") if place % 2 else (0, part) for place, part in parts]
