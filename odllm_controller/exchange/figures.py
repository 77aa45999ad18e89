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


SUBJECT_CHARACTERS = 16
"""How much of the id of a row is the same for all starts of a test."""

Moment: TypeAlias = Annotated[datetime, AfterValidator(_as_stored)]
"""A time as the store keeps it: in UTC, without saying so."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a tool that timed a test.

    Attributes:
        subject: What all starts of that test have in common.
        id: What tells this start from all others.
        earlier: The row and the round that were its place while rows were named otherwise.
    """

    subject: str
    id: str
    earlier: tuple[str, str]

    @property
    def row_id(self) -> str:
        """The row of this start and those that follow it."""
        return f"{self.subject}{self.id[: len(self.subject)]}"


@dataclass(frozen=True, slots=True)
class Figures:
    """A row on its way into the store.

    Attributes:
        row: Of the table `imported`.
        samples: Rows of the table `imported_samples`; none where only figures were told.
        start: Of a row that other starts may join, what tells it from them.
        moved_from: Rows and rounds that are left for this one; of a row without samples, no round.
        unknown: The names of what was told and has no column here.
    """

    row: Row
    samples: tuple[Row, ...] = ()
    start: Start | None = None
    moved_from: tuple[tuple[str, str], ...] = ()
    unknown: frozenset[str] = frozenset()


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
