"""One JSON object in a text that holds more than that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from odllm_agent.logbook import Damage

# What is nested too deeply does not say how far it was read.
_NESTED_CHARACTERS = 1 << 16

ZEROS = "it holds characters 0: part of the file is in another encoding"
"""What is told of UTF-16 behind text in UTF-8."""


@dataclass(frozen=True, slots=True)
class Found:
    """What began at a place.

    Attributes:
        value: The object, or the damage that stands in its place.
        end: Where it ends; of what is damaged, the place of the damage as far as it is known.
        n_read: How many characters were read.
    """

    value: object
    end: int
    n_read: int


def object_at(text: str, start: int) -> Found:
    """The JSON object that begins at a place.

    Args:
        text: A text.
        start: Where it has a `{`.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        # Its own message counts lines and columns from the beginning of the text.
        shown = _shown(text, error.pos)
        told = f"it is no whole JSON: {error.msg.removesuffix(' at')} at {shown}"
        if text.startswith("\0", error.pos):
            told = ZEROS
        return Found(Damage(told), max(error.pos, start + 1), error.pos - start)
    except RecursionError:
        return Found(Damage("it is nested too deeply"), start + 1, _NESTED_CHARACTERS)
    except ValueError as error:
        return Found(Damage(str(error)), start + 1, len(_line(text, start)))
    return Found(value, end, end - start)


def _shown(text: str, place: int) -> str:
    told = _line(text, place)[:20]
    return repr(told) if told else "the end of the line or of the file"


def _line(text: str, start: int) -> str:
    """The rest of a line."""
    end = text.find("\n", start)
    return text[start:end] if end >= 0 else text[start:]


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field {name:.60} is there twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object)
