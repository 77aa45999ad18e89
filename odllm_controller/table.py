"""The table at the end of a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from odllm_controller.analysis import results
from odllm_controller.analysis.metrics import METRICS, Metric

_MISSING = "–"
_MB = 1e6
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
    """

    heading: str
    cell: Callable[[Row], str]
    optional: bool = False
    text: bool = False


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
    console.print(_table(rows))
    for reason in sorted(found["energy_reason"].dropna().unique()):
        console.print(f"energy: unavailable, {reason}", highlight=False)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [column for column in _COLUMNS if not column.optional or _differs(column, rows)]
    for column in columns:
        table.add_column(column.heading, justify="left" if column.text else "right")
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


def _differs(column: Column, rows: Sequence[Row]) -> bool:
    return len({column.cell(row) for row in rows}) > 1


def _words(heading: str, name: str, *, optional: bool = False) -> Column:
    def cell(row: Row) -> str:
        return _MISSING if pd.isna(row[name]) else str(row[name])

    return Column(heading, cell, optional, text=True)


def _number(heading: str, name: str, digits: int, per_unit: float = 1.0) -> Column:
    def cell(row: Row) -> str:
        value = row[name]
        return _MISSING if pd.isna(value) else f"{value / per_unit:,.{digits}f}"

    return Column(heading, cell)


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

    return Column(f"decode {metric.unit}/tok", cell)


_COLUMNS = (
    _words("device", "device", optional=True),
    _words("model", "model"),
    _words("type", "quantization"),
    _words("workload", "workload_label", optional=True),
    _words("engine", "configuration", optional=True),
    _words("status", "status", optional=True),
    _number("BPW", "file_bpw", 2),
    _number("file MB", "file_bytes", 1, _MB),
    _metric("TTFT", "ttft_s", 2),
    _with_interval("prefill", "prefill_tok_s"),
    _with_interval("decode", "decode_tok_s"),
    _metric("peak", "peak_rss_bytes", 0),
    _metric("perplexity", "perplexity", 3),
    _metric("KLD", "kld", 2),
    _energy(),
)
