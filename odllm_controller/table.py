"""Tables on the terminal, such as that at the end of a run."""

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from odllm_controller.analysis import results
from odllm_controller.analysis.metrics import METRICS, Metric
from odllm_controller.analysis.scaling import Scaling, scalings

_GAP = 2
_PIPE_WIDTH = 1000
_MISSING = "–"
_MB = 1e6
_MS = 1e-3
_DIGITS = 3
_METRICS = {metric.name: metric for metric in METRICS}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes:
        heading: What stands above it.
        cell: How a row's value is written.
        optional: Whether it is left out where all rows agree.
        text: Whether it holds words, which stand at its left.
        key: Whether it tells what a row is, so that every part of a wide table has it.
    """

    heading: str
    cell: Callable[[Row], str]
    optional: bool = False
    text: bool = False
    key: bool = False

    def width(self, rows: Sequence[Row]) -> int:
        """The cells that it takes on a terminal."""
        return max(cell_len(text) for text in (self.heading, *map(self.cell, rows)))


def console() -> Console:
    """Standard output; a pipe or a file has no width that a table would have to fit."""
    terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if terminal else _PIPE_WIDTH)


def print_results(console: Console, path: Path, run: str) -> None:
    """Prints every trial of a run, whether measured in it or before.

    Args:
        console: Where to print.
        path: The store.
        run: The run's id.

    Raises:
        StoreError: The store cannot be read.
    """
    found = results.load(path, run)
    if found.empty:
        return
    rows: list[Row] = [{str(key): row[key] for key in row} for row in found.to_dict("records")]
    print_rows(console, _COLUMNS, rows)
    for figure in ("energy", "perplexity"):
        for reason in sorted(found[f"{figure}_reason"].dropna().unique()):
            console.print(f"{figure}: unavailable, {reason}", highlight=False)
    _print_scalings(console, scalings(found))


def _print_scalings(console: Console, found: Sequence[Scaling]) -> None:
    """Prints how time per token grows with BPW, if any model was measured at enough types."""
    if all(scaling.slope_s is None for scaling in found):
        return
    console.print("\nTime per token against BPW: slope, time at no bits, and fit (least squares)")
    print_rows(console, _SCALING_COLUMNS, [dataclasses.asdict(scaling) for scaling in found])
    for reason in sorted({scaling.reason for scaling in found} - {""}):
        console.print(f"no line: {reason}", highlight=False)


def print_rows(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Prints a line per row, in as many parts as the terminal's width asks for."""
    for place, shown in enumerate(pages(columns, rows, console.width)):
        if place:
            console.print()
        console.print(_table(shown, rows))


def pages(
    columns: Sequence[Column], rows: Sequence[Row], width: int
) -> Iterator[tuple[Column, ...]]:
    """The columns in as few parts as fit below each other, since a cut figure is worse than none.

    Args:
        columns: All columns, those that tell what a row is among them.
        rows: What they show.
        width: The cells of the terminal.

    Yields:
        The columns of each part; a single one that is too wide stands alone.
    """
    shown = [column for column in columns if not column.optional or _differs(column, rows)]
    keys = tuple(column for column in shown if column.key)
    page = keys
    for column in (column for column in shown if not column.key):
        wanted = sum(each.width(rows) + _GAP for each in (*page, column)) - _GAP
        if wanted > width and page != keys:
            yield page
            page = keys
        page = (*page, column)
    yield page


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify="left" if column.text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


def _differs(column: Column, rows: Sequence[Row]) -> bool:
    # A row of what was not measured has no figures, and words all the same.
    told = rows if column.text else [row for row in rows if row.get("repeats", 1)]
    return len({column.cell(row) for row in told}) > 1


def _words(heading: str, name: str, *, optional: bool = False, key: bool = True) -> Column:
    def cell(row: Row) -> str:
        return _MISSING if pd.isna(row[name]) else str(row[name])

    return Column(heading, cell, optional, text=True, key=key)


def _number(heading: str, name: str, digits: int, per_unit: float = 1.0) -> Column:
    def cell(row: Row) -> str:
        value = row[name]
        return _MISSING if pd.isna(value) else f"{value / per_unit:,.{digits}f}"

    return Column(heading, cell)


def _significant(heading: str, name: str, per_unit: float) -> Column:
    def cell(row: Row) -> str:
        value = row[name]
        return _MISSING if pd.isna(value) else significant(value / per_unit)

    return Column(heading, cell)


def significant(value: float) -> str:
    """A figure whose size may be anything, with three digits that count and no exponent."""
    before = math.floor(math.log10(abs(value))) + 1 if value else 1
    return f"{value:,.{max(0, _DIGITS - before)}f}"


def _metric(heading: str, name: str, digits: int) -> Column:
    """A metric's median, in the unit that it is shown in everywhere."""
    metric = _METRICS[name]
    return _number(f"{heading} {metric.unit}".strip(), name, digits, metric.per_unit)


def _with_interval(heading: str, name: str) -> Column:
    metric = _METRICS[name]

    def cell(row: Row) -> str:
        if pd.isna(row[name]):
            return _MISSING
        low, high = row[metric.low], row[metric.high]
        interval = "" if pd.isna(low) else f" [{_shown(low, metric)}, {_shown(high, metric)}]"
        return _shown(row[name], metric) + interval

    return Column(f"{heading} {metric.unit} [95 %]", cell)


def _shown(value: float, metric: Metric) -> str:
    return f"{value / metric.per_unit:,.0f}"


def _energy() -> Column:
    metric = _METRICS["decode_j_per_token"]

    def cell(row: Row) -> str:
        value = row[metric.name]
        if not pd.isna(value):
            return f"{value / metric.per_unit:.3g}"
        return _MISSING if pd.isna(row["energy_method"]) else str(row["energy_method"])

    # The reason that all rows share stands below the table.
    return Column(f"decode {metric.unit}/tok", cell, optional=True)


_COLUMNS = (
    _words("device", "device", optional=True),
    _words("model", "model"),
    _words("type", "quantization"),
    _words("workload", "workload_label", optional=True),
    _words("engine", "configuration", optional=True),
    _words("status", "status", optional=True, key=False),
    _number("BPW", "file_bpw", 2),
    _number("file MB", "file_bytes", 1, _MB),
    _metric("TTFT", "ttft_s", 2),
    _with_interval("prefill", "prefill_tok_s"),
    _with_interval("decode", "decode_tok_s"),
    _metric("peak", "peak_rss_bytes", 0),
    _metric("perplexity", "perplexity", 3),
    _metric("KLD", "kld", 2),
    _metric("accuracy", "accuracy", 1),
    _energy(),
)

_SCALING_COLUMNS = (
    _words("device", "device", optional=True),
    _words("model", "model"),
    _words("workload", "workload_label", optional=True),
    _words("engine", "configuration", optional=True),
    _words("phase", "phase"),
    _words("types", "types"),
    _number("n", "n", 0),
    _significant("ms/tok per bit", "slope_s", _MS),
    _significant("ms/tok at 0", "intercept_s", _MS),
    _number("R2", "r2", 3),
)
