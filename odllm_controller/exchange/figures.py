"""What is taken from a file: a row of `results`, with the samples that it rests on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, ValidationError

Row: TypeAlias = dict[str, Any]
"""Values by the names of their columns."""


def _as_stored(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError as error:
        raise ValueError("no such time in UTC") from error


Moment: TypeAlias = Annotated[datetime, AfterValidator(_as_stored)]
"""A time as the store keeps it: in UTC, without saying so."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A row on its way into the store.

    Attributes:
        row: Of the table `imported`.
        samples: Rows of the table `imported_samples`; none where only figures were told.
    """

    row: Row
    samples: tuple[Row, ...] = ()


def digest(told: Mapping[str, object]) -> str:
    """What tells two things told apart: a hash of all of it, whatever its order."""
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def refusal(error: ValidationError) -> str:
    """What is wrong with a row, by the name of the field."""
    first, *more = error.errors(include_url=False, include_context=False)
    place = ".".join(map(str, first["loc"]))
    told = f"{place}: {first['msg']}, and it is {first['input']!r:.60}"
    if first["type"] == "missing":
        told = f"the field {place} is missing"
    return f"{told}; and {len(more)} more like this" if more else told
