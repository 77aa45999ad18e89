"""The names of the parts of a split GGUF model, as llama.cpp gives them.

A model split in three lies in `NAME-00001-of-00003.gguf` and its two companions. llama.cpp loads it
from its first part, when the others lie beside it under their proper names.
"""

import re
from pathlib import Path, PurePath

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


def part_names(name: str) -> tuple[str, ...]:
    """The names of all parts of the model that a file's name is the first part of.

    Args:
        name: The name of a file, with or without folders before it.

    Returns:
        The name alone if it is not that of a first part.
    """
    match = _PART.fullmatch(name)
    if match is None or int(match["number"]) != 1:
        return (name,)
    return numbered_names(match["stem"], int(match["count"]))


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files of the model that a file is the first part of; a whole file is its only one."""
    parts = tuple(path.with_name(name) for name in part_names(path.name))
    # A file may have such a name and be whole.
    return parts if all(part.exists() for part in parts) else (path,)


def numbered_names(stem: str, count: int) -> tuple[str, ...]:
    """The names of a model of so many parts; of one part, a plain name."""
    if count == 1:
        return (f"{stem}.gguf",)
    return tuple(numbered_name(stem, number, count) for number in range(1, count + 1))


def numbered_name(stem: str, number: int, count: int) -> str:
    """The name of one part, counted from 1."""
    return f"{stem}-{number:05d}-of-{count:05d}.gguf"


def first_name(name: str) -> str:
    """The name of the first part of the model that a file's name is a part of, or the name."""
    match = _PART.fullmatch(name)
    return numbered_name(match["stem"], 1, int(match["count"])) if match else name


def stem(path: PurePath) -> str:
    """The name of a model's file without its ending, and without the number of a part."""
    match = _PART.fullmatch(path.name)
    return match["stem"] if match else path.stem
