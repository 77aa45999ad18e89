"""The table at the end of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from odllm_controller import store

_MB = 1e6
_MISSING = "–"

Row = Mapping[str, Any]

_QUERY = """
SELECT results.*
FROM results
WHERE trial_id IN (SELECT trial_id FROM planned WHERE run_id = ?)
ORDER BY device, n_weights, model, workload, settings, file_bpw DESC
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its heading, and how a row's cell is written."""

    heading: str
    cell: Callable[[Row], str]


def print_results(console: Console, path: Path, run_id: str) -> None:
    """Prints every trial of a run, whether measured in it or before.

    Args:
        console: Where to print.
        path: The store.
        run_id: The run.
    """
    rows: list[Row] = [
        {str(key): _plain(value) for key, value in row.items()}
        for row in store.read(path, _QUERY, [run_id]).to_dict("records")
    ]
    if not rows:
        return
    columns = [column for column in _COLUMNS if column.heading in _ALWAYS or _varies(column, rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify="left" if column.heading in _TEXT else "right")
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    console.print(table)
    for reason in sorted({row["energy_reason"] for row in rows if row["energy_reason"]}):
        console.print(f"energy: unavailable, {reason}", highlight=False)


def _varies(column: Column, rows: list[Row]) -> bool:
    return len({column.cell(row) for row in rows}) > 1


def _plain(value: Any) -> Any:
    """A cell of a data frame, with every kind of missing value as `None`."""
    return None if value is None or value != value or str(value) == "<NA>" else value  # noqa: PLR0124


def _number(name: str, digits: int, scale: float = 1.0) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value = row[name]
        return _MISSING if value is None else f"{value / scale:,.{digits}f}"

    return cell


def _rate(name: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value, low, high = (row[name + end] for end in ("", "_low", "_high"))
        if value is None:
            return _MISSING
        interval = "" if low is None else f" [{low:,.0f}, {high:,.0f}]"
        return f"{value:,.0f}{interval}"

    return cell


def _text(name: str) -> Callable[[Row], str]:
    return lambda row: _MISSING if row[name] is None else str(row[name])


def _energy(row: Row) -> str:
    value = row["decode_j_per_token"]
    return "unavailable" if value is None else f"{value * 1e3:.3g}"


_COLUMNS = (
    Column("device", _text("device")),
    Column("model", _text("model")),
    Column("type", _text("quantization")),
    Column("workload", _text("workload")),
    Column("threads", _text("threads")),
    Column("status", _text("status")),
    Column("BPW", _number("file_bpw", 2)),
    Column("MB", _number("file_bytes", 1, _MB)),
    Column("TTFT ms", _number("ttft_s", 2, 1e-3)),
    Column("prefill tok/s [95 %]", _rate("prefill_tok_s")),
    Column("decode tok/s [95 %]", _rate("decode_tok_s")),
    Column("peak MB", _number("peak_rss_bytes", 0, _MB)),
    Column("perplexity", _number("perplexity", 3)),
    Column("decode mJ/tok", _energy),
)
_TEXT = {"device", "model", "type", "workload", "status"}
_ALWAYS = {column.heading for column in _COLUMNS} - {"device", "workload", "threads", "status"}
