"""One JSON object in a text that holds more than that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from odllm_agent.logbook import Damage

# What is nested too deeply, or no figure, does not say how far it was read.
_READ_IN_VAIN = 1 << 16


@dataclass(frozen=True, slots=True)
class Found:
    """What began at a place.

    Attributes:
        value: The object, or the damage that stands in its place.
        end: How far it was read.
    """

    value: object
    end: int


def object_at(text: str, start: int) -> Found:
    """The JSON object that begins at a place.

    Args:
        text: A text.
        start: Where it has a `{`.
    """
    try:
        return Found(*_DECODER.raw_decode(text, start))
    except json.JSONDecodeError as error:
        # Its own message counts lines and columns from the beginning of the text.
        return Found(
            Damage(f"it is no whole JSON: {error.msg} {_place(text, error.pos)}"), error.pos
        )
    except RecursionError:
        return Found(Damage("it is nested too deeply"), start + _READ_IN_VAIN)
    except ValueError as error:
        return Found(Damage(str(error)), start + _READ_IN_VAIN)


def _place(text: str, place: int) -> str:
    told = text[place : place + 20].partition("\n")[0]
    return f"at {told!r}" if told else "at the end of a line or of the file"


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
