"""JSON as files hold it, value by value, each with the number of its line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from odllm_agent.errors import UsageError
from odllm_agent.logbook import Damage

_MOST_BYTES = 64 << 20
_MOST_LINE_BYTES = 4 << 20
_GAP = re.compile(r"[\s,]*")
_BROKEN = (ValueError, RecursionError)

Numbered: TypeAlias = Iterator[tuple[int, object]]
"""Values, or the `Damage` that stands in their place, with the number of the line."""


def text_of(path: Path) -> str:
    """A file that has to be read as a whole.

    Raises:
        UsageError: It is too large, cannot be read, or is no text.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise UsageError(
            f"{path} is of {size >> 20} MiB, and at most {_MOST_BYTES >> 20} are read at once",
            "split it, or let llama-bench write JSON lines (-o jsonl)",
        )
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "name another file") from error
    if "\0" in text:
        raise UsageError(f"{path} is no text: it holds a byte 0", "name another file")
    return text


def json_lines(path: Path) -> Numbered:
    """The value of each line.

    Raises:
        UsageError: The file cannot be read, or a line is so long that nobody meant it.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MOST_LINE_BYTES):
            number += 1
            if len(line) == _MOST_LINE_BYTES:
                raise UsageError(
                    f"line {number} of {path} is longer than {_MOST_LINE_BYTES >> 20} MiB",
                    "a line holds one result; what came before it is stored",
                )
            if line.strip():
                yield number, _parsed(line)


def json_array(text: str) -> Numbered:
    """The values of a JSON array, up to the first that is damaged; whole ones before it count.

    Args:
        text: What begins with `[`.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    start = counted = text.index("[") + 1
    number = text.count("\n", 0, start) + 1
    while True:
        start = _end_of_gap(text, start)
        number, counted = number + text.count("\n", counted, start), start
        if text.startswith("]", start):
            return
        try:
            value, start = decoder.raw_decode(text, start)
        except _BROKEN as error:
            yield number, Damage(f"from here on it cannot be read: {_told(error)}")
            return
        yield number, value


def _end_of_gap(text: str, start: int) -> int:
    gap = _GAP.match(text, start)
    return gap.end() if gap else start


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except _BROKEN as error:
        return Damage(_told(error))


def _told(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else f"{error}"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure")
