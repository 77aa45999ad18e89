"""A table of separated values in a text: a heading, and a line of cells per record.

Before Python 3.13 its reader cannot tell a cell that holds nothing, which is a missing value, from
one that holds an empty text (`""`). Spreadsheets write semicolons or tabs instead of commas, and
the comma as decimal point.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange.llama_bench.fields import typed

DELIMITERS = ",;\t"
_BENCH = frozenset({"n_prompt", "n_gen"})
_RESULTS = frozenset({"device", "model", "status"})
_TELLING = ("n_prompt", "status")
_CELL = {
    each: re.compile(rf'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^"{each}]*))(?P<more>{each}|\Z)')
    for each in DELIMITERS
}
_WITH_COMMA = re.compile(r"-?\d+,\d+(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"-?[1-9]\d{0,2}(?P<point>[.,])\d{3}(?:(?P=point)\d{3})*")

Row: TypeAlias = Mapping[str, str | None]


@dataclass(slots=True)
class SeparatedTable:
    """A table that is being read.

    Attributes:
        delimiter: What stands between its cells.
        names: Its heading.
    """

    delimiter: str
    names: tuple[str, ...]
    _rows: list[tuple[int, Row | Damage]] = field(default_factory=list)

    def take(self, number: int, line: str) -> None:
        """Takes a row; what is missing is `None`, and an empty text is one."""
        try:
            found: Row | Damage = self._row(line)
        except ValueError as error:
            found = Damage(str(error))
        self._rows.append((number, found))

    def rows(self) -> list[tuple[int, object]]:
        """All rows, once there are no more: only then it is known what a comma means."""
        decimal = self.delimiter != "," and any(map(_is_decimal, self._cells()))
        return [
            (number, found if isinstance(found, Damage) else self._settled(found, decimal))
            for number, found in self._rows
        ]

    def _settled(self, row: Row, decimal: bool) -> object:
        found = row if self.delimiter == "," else _with_points(row, decimal)
        if isinstance(found, Damage) or not _BENCH.issubset(self.names):
            return found
        return typed(found)

    def _cells(self) -> list[str]:
        rows = [row for _, row in self._rows if not isinstance(row, Damage)]
        return [cell for row in rows for cell in row.values() if cell]

    def _row(self, line: str) -> Row:
        cells = _cells(line, self.delimiter)
        if len(cells) != len(self.names):
            told = f"it has {len(cells)} cells, and the heading has {len(self.names)}"
            raise ValueError(told)
        return dict(zip(self.names, cells, strict=True))


def table_of(line: str) -> SeparatedTable | None:
    """The table that a line is the heading of, or `None` if it is no such line.

    Args:
        line: Any line of a text.
    """
    if not any(name in line for name in _TELLING):
        return None
    for delimiter in DELIMITERS:
        try:
            names = tuple((name or "").strip() for name in _cells(line, delimiter))
        except ValueError:
            continue
        known = any(wanted.issubset(names) for wanted in (_BENCH, _RESULTS))
        if known and len(set(names)) == len(names):
            return SeparatedTable(delimiter, names)
    return None


def is_open(line: str) -> bool:
    """Whether a row goes on in the next line, since a quote of it has no end."""
    return line.count('"') % 2 == 1


def _cells(line: str, delimiter: str) -> Sequence[str | None]:
    found: list[re.Match[str]] = []
    place, more = 0, delimiter
    while more:
        cell = _CELL[delimiter].match(line, place)
        if cell is None:
            raise ValueError("its quotes do not match")
        found.append(cell)
        place, more = cell.end(), cell["more"]
    # Where everything is quoted, a missing value is too.
    quotes_tell = any(cell["quoted"] is None for cell in found)
    return [_content(cell, quotes_tell=quotes_tell) for cell in found]


def _content(cell: re.Match[str], *, quotes_tell: bool) -> str | None:
    if cell["quoted"] is None:
        return cell["plain"] or None
    return cell["quoted"].replace('""', '"') or ("" if quotes_tell else None)


def _is_decimal(cell: str) -> bool:
    """Whether its comma can be nothing but a decimal point."""
    return bool(_WITH_COMMA.fullmatch(cell)) and not _GROUPED.fullmatch(cell)


def _with_points(row: Row, decimal: bool) -> Row | Damage:
    """A row with decimal points, or what cannot be told of it without guessing."""
    doubtful = "." if decimal else ","
    for name, cell in row.items():
        grouped = _GROUPED.fullmatch(cell or "")
        if grouped and grouped["point"] == doubtful:
            return Damage(f"{name}: whether {cell:.40} groups thousands or not cannot be told")
    if not decimal:
        return row
    return {
        name: cell.replace(",", ".") if cell and _WITH_COMMA.fullmatch(cell) else cell
        for name, cell in row.items()
    }
