"""One JSON object in a text that holds more than that."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from odllm_agent.offline.logbook import Damage

# An error is counted in lines from the beginning of what is decoded, so that must not be all of it.
_CHUNK = 1 << 14
_LONGEST_WORD = len("-Infinity")
_CUT_OFF = "it was cut off"

ZEROS = "it holds characters 0: part of the file is in another encoding"
"""What is told of UTF-16 behind text in UTF-8."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """What began at a place.

    Attributes:
        value: The object, or the damage that stands in its place.
        end: Where it ends; of what is damaged, the place of the damage as far as it is known.
        n_read: How many characters were read.
    """

    value: object
    end: int
    n_read: int


def object_at(text: str, start: int) -> FoundObject:
    """The JSON object that begins at a place.

    Args:
        text: A text.
        start: Where it has a `{`.
    """
    size = _CHUNK
    while True:
        found = _in_chunk(text[start : start + size], start)
        if found is not None or start + size >= len(text):
            return found or FoundObject(Damage(f"it is no whole JSON: {_CUT_OFF}"), start + 1, size)
        size *= 16


def _in_chunk(chunk: str, start: int) -> FoundObject | None:
    """What a chunk begins with, or `None` if it ends before that does."""
    try:
        value, end = _DECODER.raw_decode(chunk)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Unterminated") or error.pos >= len(chunk) - _LONGEST_WORD:
            return None
        shown = repr(chunk[error.pos : error.pos + 20].partition("\n")[0])
        told = f"it is no whole JSON: {error.msg.removesuffix(' at')} at {shown}"
        if chunk.startswith("\0", error.pos):
            told = ZEROS
        return FoundObject(Damage(told), start + max(error.pos, 1), error.pos)
    except RecursionError:
        return FoundObject(
            Damage("it is nested too deeply"), start + 1, len(chunk.partition("\n")[0])
        )
    except ValueError as error:
        return FoundObject(Damage(str(error)), start + 1, len(chunk.partition("\n")[0]))
    return FoundObject(value, start + end, end)


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field {name:.60} is there twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)


_DECODER = json.JSONDecoder(
    parse_float=_finite, parse_constant=_refuse_constant, object_pairs_hook=_object
)
