"""Verdicts on the terminal, and the figures that they rest on."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from odllm_controller.analysis.claims.pairwise import Budget
from odllm_controller.analysis.claims.verdict import Verdict
from odllm_controller.analysis.queries.results import Row
from odllm_controller.analysis.scaling.curves import FITTED
from odllm_controller.analysis.statistics.standing import Standing
from odllm_controller.cli.table import (
    MISSING,
    MODEL_COLUMNS,
    SETUP_COLUMNS,
    Column,
    number,
    print_rows,
    words,
)
from odllm_controller.metrics import figure, metric

_STYLES = {
    Standing.SUPPORTED: "green",
    Standing.CONTRADICTED: "red",
    Standing.UNDECIDED: "yellow",
}
_INDENT = (0, 0, 0, 3)
_METRICS = {metric.name: metric for metric in FITTED}
_PERCENT = 100
_ROOMS = {Budget.BYTES: "bytes", Budget.MEMORY: "memory"}


def print_verdicts(console: Console, told: Sequence[Verdict]) -> None:
    """Prints each claim with its verdict, what that rests on, and what would decide it."""
    for each in told:
        console.print(Text(f"{each.number}. {each.claim}", style="bold"))
        standing = Text(str(each.standing), style=_STYLES[each.standing])
        _print(console, standing.append(f": {each.sample}", style="default"))
        _print(console, Text(each.evidence))
        if each.wanted:
            _print(console, Text(f"What would decide it: {each.wanted}"))
        console.print()


def print_details(console: Console, details: Mapping[str, Sequence[object]]) -> None:
    """Prints the tables of some details that have rows, by their names in `_TABLES`."""
    for name, (title, columns) in _TABLES.items():
        found = details.get(name, ())
        rows: list[Row] = [dataclasses.asdict(each) for each in found]  # type: ignore[call-overload]
        if shown := [row for row in rows if not row.get("reason")]:
            console.print(title, highlight=False)
            print_rows(console, columns, shown)
        for reason in dict.fromkeys(row["reason"] for row in rows if row.get("reason")):
            console.print(f"none: {reason}", markup=False, highlight=False)
        if rows:
            console.print()


def _print(console: Console, text: Text) -> None:
    console.print(Padding(text, _INDENT))


def _interval(
    heading: str, name: str, ends: tuple[str, str], shown: Callable[[float], str] = figure
) -> Column:
    """A figure with its interval; an end that is open is a dash."""

    def cell(row: Row) -> str:
        low, high = (_or_missing(row[end], shown) for end in ends)
        known = not (low == MISSING and high == MISSING)
        return f"{_or_missing(row[name], shown)}{f' [{low}, {high}]' if known else ''}"

    return Column(f"{heading} [95 %]", cell)


def _around(heading: str, name: str, shown: Callable[[float], str] = figure) -> Column:
    return _interval(heading, name, (f"{name}_low", f"{name}_high"), shown)


def _slope(row: Row) -> str:
    """In the unit that the metric is shown in."""
    per_unit = _METRICS[row["metric"]].per_unit
    slope, low, high = (
        figure(row[name] / per_unit) for name in ("slope", "slope_low", "slope_high")
    )
    return f"{slope} [{low}, {high}]"


def _lost_in(row: Row) -> tuple[str, float]:
    """The unit that a loss is shown in, and how much of the stored one it is."""
    if row["quality"] in (None, "perplexity"):
        return ("%" if row["quality"] else ""), 1 / _PERCENT
    of = metric(row["quality"])
    return of.unit, of.per_unit


def _worse(row: Row) -> str:
    _, per_unit = _lost_in(row)
    lost, low, high = (
        _or_missing(row[name], lambda value: figure(value / per_unit))
        for name in ("lost", "lost_low", "lost_high")
    )
    return lost if low == MISSING else f"{lost} [{low}, {high}]"


def _or_missing(value: object, shown: Callable[[float], str]) -> str:
    return shown(value) if isinstance(value, float) and not pd.isna(value) else MISSING


def _percent(value: float) -> str:
    return f"{_PERCENT * value:.1f}"


def _p(heading: str, name: str) -> Column:
    return Column(heading, lambda row: _or_missing(row[name], lambda p: f"{p:.2g}"))


def _two(value: float) -> str:
    return f"{value:.2f}"


_WORSE = Column("worse by [95 %]", _worse)
_SLOPE = Column("per bit [95 %]", _slope)
_METRIC = Column("metric", lambda row: _METRICS[row["metric"]].label, text=True, key=True)

_TABLES: Mapping[str, tuple[str, Sequence[Column]]] = {
    "fits": (
        "Lines against bits per weight: what one bit more adds",
        (
            *MODEL_COLUMNS,
            _METRIC,
            words("types", "types"),
            number("n", "n", 0),
            Column("unit", lambda row: _METRICS[row["metric"]].unit, text=True, key=True),
            _SLOPE,
            Column("R2", lambda row: _or_missing(row["r2"], _two)),
        ),
    ),
    "linearities": (
        "Near-linear without F16? Chances are enlarged for all lines that are asked",
        (
            *MODEL_COLUMNS,
            _METRIC,
            number("n", "n", 0),
            Column("R2", lambda row: _or_missing(row["r2"], _two)),
            _p("p slope", "slope_p"),
            _p("p break", "bent_p"),
            _p("p scatter", "scatter_p"),
            words("near-linear", "standing", key=False),
        ),
    ),
    "breaks": (
        "One straight line, or two that meet: where, in bits per weight",
        (
            *MODEL_COLUMNS,
            _METRIC,
            words("types", "types"),
            number("n", "n", 0),
            _interval("break", "at", ("low", "high"), _two),
            _p("p", "p"),
        ),
    ),
    "residuals": (
        "How far families of types lie from the line through all quantized types, in %",
        (
            *MODEL_COLUMNS,
            _METRIC,
            words("family", "family"),
            number("n", "n", 0),
            _interval("off by", "mean", ("low", "high"), _percent),
        ),
    ),
    "thresholds": (
        "Down to how many bits per weight the larger model is better in the same room",
        (
            *SETUP_COLUMNS,
            words("larger", "larger"),
            words("smaller", "smaller"),
            Column("equal in", lambda row: _ROOMS[row["cost"]], text=True, key=True),
            words("by", "quality"),
            number("n", "n", 0),
            _interval("BPW", "at_bpw", ("low_bpw", "high_bpw"), _two),
            words("around 3.5", "standing", key=False),
        ),
    ),
    "steps": (
        "What each step down costs and saves",
        (
            *MODEL_COLUMNS,
            words("from", "more"),
            words("to", "less"),
            words("by", "quality"),
            Column("unit", lambda row: _lost_in(row)[0], text=True, key=True),
            _WORSE,
            Column("file saved %", lambda row: _or_missing(row["file_saved"], _percent)),
            Column("memory saved %", lambda row: _or_missing(row["memory_saved"], _percent)),
        ),
    ),
    "phase_powers": (
        "Watts of prefill / watts of decode",
        (
            *MODEL_COLUMNS,
            words("energy", "energy_method"),
            number("n", "n", 0),
            Column("prefill W", lambda row: _or_missing(row["prefill_w"], figure)),
            Column("decode W", lambda row: _or_missing(row["decode_w"], figure)),
            _around("ratio", "ratio", _two),
        ),
    ),
    "shifts": (
        "What a tenth of the weights changes in the shares of decode's time, in points",
        (
            *SETUP_COLUMNS,
            Column("models", lambda row: str(len(row["models"]))),
            _around("reading", "traffic", _percent),
            _around("computing", "compute", _percent),
            words("moves", "direction", key=False),
        ),
    ),
}
