"""What a kind of record is known by, and who reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from odllm_controller.exchange.figures import Figures

Types: TypeAlias = Mapping[str, str]
"""DuckDB's types by the names of the columns of the table `imported`."""

RecordReader: TypeAlias = Callable[[Mapping[Any, object]], Figures]
"""Makes a row on its way into the store of a record; raises `ValueError` if it cannot."""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """Where records come from.

    Attributes:
        name: The file's name.
        types: The columns that a row can have.
        device: What to call the device, where the user told it.
    """

    name: str
    types: Types
    device: str | None = None


@dataclass(frozen=True, slots=True)
class RecordForm:
    """A kind of record that figures are imported from.

    Attributes:
        what: What such a record is, in words.
        fields: Its fields that no other kind has; one of them tells it.
        example: A record of it, as short as it can be.
        reader: Makes a reader for the records of one file.
        names_device: Whether each record names its device, which then nobody else can.
    """

    what: str
    fields: frozenset[str]
    example: Mapping[str, object]
    reader: Callable[[RecordFile], RecordReader]
    names_device: bool = False

    def knows(self, record: Mapping[Any, object]) -> bool:
        """Whether a record is of this kind."""
        return not self.fields.isdisjoint(record)
