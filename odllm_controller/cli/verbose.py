"""What `odllm run --verbose` tells besides: what devices do at most, and what bounds trials."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from rich.console import Console

from odllm_agent.contract import READ
from odllm_controller.analysis.bounds import bound, ceilings
from odllm_controller.analysis.bounds.bound import Fitted
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.results import Row
from odllm_controller.cli.table import MISSING, SUBJECT_COLUMNS, Column, print_rows, words

_GIGA = 1e9
# Shares this far above the whole are no rounding any more.
_MOST_SHARE = 1.05


def print_bounds(console: Console, path: Path, found: pd.DataFrame) -> None:
    """Prints the ceilings of a run's devices, and what bounds each of its trials.

    Args:
        console: Where to print.
        path: The store.
        found: What `results.load` gives of that run.

    Raises:
        StoreError: The store cannot be read.
    """
    measured = results.measured(found) if not found.empty else found
    if measured.empty:
        return
    known = ceilings.load(path, measured)
    if not known.empty:
        console.print("\nWhat the device does at most: the best of several passes")
        print_rows(console, _CEILING_COLUMNS, results.records(known))
    console.print(
        "\nWhat bounds each phase: the share of its time that reading, and computing, would take "
        "at the ceilings;\nand the share that a fit of time to bytes and operations gives to "
        "reading, with its 95 % interval"
    )
    fits = bound.fits(path)
    print_rows(console, _BOUND_COLUMNS, results.records(_bounds(measured, fits)))
    _print_reasons(console, measured, fits)


def _bounds(measured: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """A row per trial and phase, in the order of the trials."""
    names = measured[["trial_id", "model", "quantization", "workload_label", "configuration"]]
    order = pd.Series(range(len(names)), index=names["trial_id"])
    return (
        names.merge(fits, on="trial_id")
        .assign(place=lambda rows: rows["trial_id"].map(order))
        .sort_values(["phase", "place"], ascending=[False, True])
    )


def _print_reasons(console: Console, measured: pd.DataFrame, fits: pd.DataFrame) -> None:
    unfitted = {each.reason for each in fits["fit"]} - {""}
    for what, reasons in (
        ("no share", set(measured["ceiling_reason"].dropna())),
        ("no fit", unfitted),
    ):
        for reason in sorted(reasons):
            console.print(f"{what}: {reason}", markup=False, highlight=False)
    if (fits[["traffic_share", "compute_share"]] > _MOST_SHARE).any(axis=None):
        console.print(
            "A share above 100 %: the device was slower when its ceiling was measured than in the "
            "trial. ceilings=again measures the ceilings once more."
        )


def _of_fit(heading: str, tell: Callable[[Fitted], str]) -> Column:
    return Column(heading, lambda row: tell(row["fit"]))


def _percent(heading: str, name: str) -> Column:
    def cell(row: Row) -> str:
        return MISSING if pd.isna(row[name]) else f"{100 * row[name]:.0f} %"

    return Column(heading, cell)


def _giga(heading: str, tell: Callable[[Row], bool]) -> Column:
    def cell(row: Row) -> str:
        return f"{row['per_s'] / _GIGA:,.1f}" if tell(row) else ""

    return Column(heading, cell)


def _traffic(fitted: Fitted) -> str:
    part = fitted.traffic
    if part is None:
        return MISSING
    return f"{100 * part.value:.0f} [{100 * part.low:.0f}, {100 * part.high:.0f}] %"


_CEILING_COLUMNS = (
    words("device", "device", optional=True),
    words("engine", "engine"),
    words("threads", "threads"),
    words("ceiling", "label"),
    _giga("GB/s", lambda row: row["name"] == READ),
    _giga("10^9 operations/s", lambda row: row["name"] != READ),
    words("how", "method", key=False),
)

_BOUND_COLUMNS = (
    *SUBJECT_COLUMNS,
    words("phase", "phase"),
    _percent("reading", "traffic_share"),
    _percent("computing", "compute_share"),
    words("bound", "bound", key=False),
    _of_fit("reading by fit [95 %]", _traffic),
    _of_fit("bound by fit", lambda fitted: str(fitted.bound) if not fitted.reason else MISSING),
)
