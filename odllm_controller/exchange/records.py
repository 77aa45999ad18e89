"""The records of a text, whatever else is in it.

A file of figures is often more than a tool wrote: messages stand before, between and behind, a
second output was appended, the last one was cut off, two forms were put together. So every line is
asked what begins with it, and what is no record is told by the number of its line.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import TypeAlias

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange import json_record, separated
from odllm_controller.exchange.llama_bench import markdown as bench_markdown
from odllm_controller.exchange.llama_bench import sql as bench_sql
from odllm_controller.exchange.separated import SeparatedTable

# What may stand between the objects of a JSON text, on one line: RFC 7464 has a character 30 there,
# which counts as a space, and old editors end a file with a 26.
_GAP = re.compile(r"(?:[^\S\n]|[\ufeff\x1a,\[\]}])*")
_CLOSING = {
    "]": "the array that ends here has no beginning: more may be missing",
    "}": "the object that ends here has no beginning: more may be missing",
}
# Where the next record may begin behind one that is damaged.
_NEXT = re.compile(r'\n|\{\s*"')
# A line inside a JSON object, which belongs to what is damaged above it.
_MEMBER = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"\s*(?::.*|,?\s*)|-?\d[\d.eE+-]*\s*,?\s*)')
# Of hostile text all that follows might be read again and again.
_MOST_IN_VAIN = 128 << 20
_MOST_LINES = 1000

Numbered: TypeAlias = Iterator[tuple[int, object]]
"""Records, or the `Damage` that stands in their place, with the number of the line."""


def records(text: str) -> Numbered:
    """All that a text holds, but for empty lines.

    Args:
        text: A text whose lines end in a line feed.
    """
    with contextlib.closing(bench_sql.SqlTables()) as sql:
        reader = _Reader(text, sql)
        while reader.more:
            yield from reader.next()
        yield from reader.end()


class _Reader:
    """Reads on from one place of a text to the next."""

    def __init__(self, text: str, sql: bench_sql.SqlTables) -> None:
        self._text = text
        self._sql = sql
        self._markdown = bench_markdown.MarkdownTables()
        self._table: SeparatedTable | None = None
        self._place, self._number = 0, 1
        self._arrays: list[int] = []
        self._is_torn, self._was_torn, self._torn_to = False, False, 0
        self._in_vain = 0

    @property
    def more(self) -> bool:
        """Whether there is more to read."""
        return self._place < len(self._text)

    def next(self) -> Numbered:
        """What begins here, and goes on behind it."""
        gap = _GAP.match(self._text, self._place)
        end = gap.end() if gap else self._place
        if end == len(self._text) or self._text[end] == "\n":
            yield from self._brackets(end)
            self._go(end + 1)
        elif self._text[end] == "{":
            yield from self._brackets(end)
            self._go(end)
            yield from self._object()
        elif self._place and self._text[self._place - 1] != "\n":
            yield self._odd()
        else:
            yield from self._line()

    def end(self) -> Numbered:
        """What is known only at the end of a text."""
        yield from self._markdown.end()
        yield from self._table.rows() if self._table else ()
        # Of an object that was cut off it is told already.
        if not self._is_torn:
            for number in self._arrays:
                yield number, Damage("the array that begins here has no end: more may be missing")

    def _line(self) -> Numbered:
        number, line = self._number, self._whole_line()
        table = separated.table_of(line)
        build = bench_markdown.BUILD.fullmatch(line)
        if bench_sql.BEGINNING.match(line):
            yield from self._statement()
        elif line.lstrip().startswith("|"):
            self._skip_line()
            yield from self._markdown.take(number, line)
        elif build:
            self._skip_line()
            yield from self._markdown.build(build)
        elif table:
            self._skip_line()
            yield from self._table.rows() if self._table else ()
            self._table = table
        elif self._is_torn and self._is_of_torn(line):
            self._skip_line()
        elif self._table:
            self._row(self._table)
        else:
            yield self._odd()

    def _object(self) -> Numbered:
        number = self._number
        found = json_record.object_at(self._text, self._place)
        self._is_torn = isinstance(found.value, Damage)
        if not self._is_torn:
            self._go(found.end)
            yield number, found.value
            return
        yield number, found.value
        self._was_torn = True
        self._in_vain += found.n_read
        if self._in_vain > _MOST_IN_VAIN:
            yield number, Damage("too much is damaged: the rest is not read")
            self._place = len(self._text)
            return
        self._torn_to = self._place + found.n_read
        line_end = self._text.find("\n", self._place, found.end)
        self._go(self._next(line_end if line_end >= 0 else found.end))

    def _is_of_torn(self, line: str) -> bool:
        """Whether a line belongs to the damaged object above it."""
        up_to_damage = self._place <= self._torn_to and line.lstrip().startswith('"')
        return up_to_damage or bool(_MEMBER.fullmatch(line))

    def _odd(self) -> tuple[int, Damage]:
        """What is no record, up to where one may begin."""
        number, start = self._number, self._place
        self._go(self._next(start))
        told = self._text[start : self._place].strip()
        if "\0" in told:
            return number, Damage(json_record.ZEROS)
        return number, Damage(f"it is no record: {told[:60]!r}")

    def _statement(self) -> Numbered:
        """SQL up to the end of the statement, or to the next one if this one has none."""
        number, statement = self._number, ""
        for n_lines in range(bench_sql.MOST_LINES):
            # What is between quotes is as it is; elsewhere SQLite takes a return for a space.
            line = self._raw_line() if n_lines else self._raw_line().lstrip("\ufeff")
            if n_lines and bench_sql.BEGINNING.match(line.lstrip("\ufeff")):
                # llama-bench does not double a quote inside a value, and what follows would be
                # lost too.
                break
            statement += f"{line}\n"
            self._skip_line()
            if bench_sql.is_whole(statement) or not self.more:
                break
            if len(statement) > bench_sql.MOST_CHARACTERS:
                yield number, Damage(f"it is longer than {bench_sql.MOST_CHARACTERS} characters")
                return
        yield from ((number, found) for found in self._sql.taken(statement))

    def _row(self, table: SeparatedTable) -> None:
        """A row of cells, which may hold line ends between quotes."""
        number, start, row = self._number, self._place, self._raw_line().lstrip("\ufeff")
        self._skip_line()
        after_line = self._place, self._number
        for _ in range(_MOST_LINES):
            if not (separated.is_open(row) and self.more):
                break
            # What is between quotes is as it is, but for the end of the row.
            row += f"\n{self._raw_line()}"
            self._skip_line()
        if separated.is_open(row):
            self._place, self._number = after_line
            row = self._text[start : self._place].rstrip("\n")
        table.take(number, row.removesuffix("\r"))

    def _brackets(self, end: int) -> Numbered:
        """Counts the brackets up to a place on this line; one that closes nothing is told."""
        for sign in self._text[self._place : end]:
            if sign == "[":
                self._arrays.append(self._number)
            elif sign == "]" and self._arrays:
                self._arrays.pop()
            # What closes may be of an object that is torn, which is told already.
            elif sign in _CLOSING and not self._was_torn:
                yield self._number, Damage(_CLOSING[sign])

    def _whole_line(self) -> str:
        return self._raw_line().removesuffix("\r").lstrip("\ufeff")

    def _raw_line(self) -> str:
        return self._text[self._place : self._line_end()]

    def _skip_line(self) -> None:
        self._go(self._line_end() + 1)

    def _line_end(self) -> int:
        end = self._text.find("\n", self._place)
        return len(self._text) if end < 0 else end

    def _next(self, start: int) -> int:
        """The end of the line, or where a record may begin before that."""
        found = _NEXT.search(self._text, start)
        if not found:
            return len(self._text)
        return found.end() if found[0] == "\n" else found.start()

    def _go(self, place: int) -> None:
        self._number += self._text.count("\n", self._place, place)
        self._place = place
