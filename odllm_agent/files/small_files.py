"""The small files by which Linux tells its state: text, a word, a number or a list of CPUs."""

import re
from collections.abc import Iterable
from pathlib import Path

# Below five digits each: no kernel knows as many CPUs, and nothing is made of a list without end.
_CPU_LIST = re.compile(r"(?:\d{1,4}(?:-\d{1,4})?(?:\s*,\s*\d{1,4}(?:-\d{1,4})?)*)?", re.A)


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


def read_cpus(path: Path) -> tuple[int, ...]:
    """The numbers in a file that lists CPUs; none where it tells none, or what is no such list."""
    try:
        return cpu_list(read_text(path) or "")
    except ValueError:
        return ()


def cpu_list(text: str) -> tuple[int, ...]:
    """The numbers in a list of CPUs as the kernel writes it, such as `0-3,8`.

    Raises:
        ValueError: It is no such list.
    """
    if not _CPU_LIST.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no list of CPUs")
    ranges = (part.split("-") for part in text.strip().split(",") if part)
    return tuple(cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1))


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
