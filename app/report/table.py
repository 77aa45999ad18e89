"""Tables in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from odllm_controller.analysis.queries.results import Row, failed, held, records, skipped
from odllm_controller.analysis.queries.subject import TITLES
from odllm_controller.metrics import METRICS, Metric, figure

_TROUBLES = {"failure": "What went wrong", "remedy": "What to do"}


@dataclass(frozen=True, slots=True)
class WordTable:
    """A table in words.

    Attributes:
        headings: Of its columns.
        rows: The cells of each row.
    """

    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def cell(value: object) -> str:
    """A value in words: as many digits as a reader can use, and nothing where it is missing."""
    if isinstance(value, float):
        return "" if math.isnan(value) else figure(value)
    return "" if value is None else str(value)


def listed(rows: pd.DataFrame, columns: Mapping[str, str]) -> WordTable:
    """Some columns of rows.

    Args:
        rows: The rows.
        columns: Headings by the names of the columns.
    """
    cells = [[cell(row[name]) for name in columns] for row in records(rows)]
    return WordTable(list(columns.values()), cells)


def figures(measured: pd.DataFrame) -> WordTable:
    """All trials with every metric that any of them has.

    Args:
        measured: Rows as `results.load` gives them.
    """
    there = [metric for metric in METRICS if measured[metric.name].notna().any()]
    headings = (*TITLES.values(), "File BPW", *(metric.title for metric in there), "Repeats")
    rows = [
        [
            *(cell(row[name]) for name in (*TITLES, "file_bpw")),
            *(_with_interval(row, metric) for metric in there),
            str(row["repeats"]),
        ]
        for row in records(measured)
    ]
    return WordTable(headings, rows)


def troubles(found: pd.DataFrame) -> list[tuple[str, WordTable]]:
    """What has no figures, by why it has none.

    Args:
        found: Rows as `results.load` gives them.
    """
    return [
        ("Failed", listed(failed(found), {**TITLES, **_TROUBLES})),
        ("Cannot run", listed(skipped(found), {**TITLES, "skip_reason": "Why"})),
        ("Left for a later run", listed(held(found), {**TITLES, "hold_reason": "Why"})),
    ]


def _with_interval(row: Row, metric: Metric) -> str:
    value, low, high = (
        cell(row.get(name, math.nan) / metric.per_unit)
        for name in (metric.name, metric.low, metric.high)
    )
    return f"{value} [{low}, {high}]" if low else value
