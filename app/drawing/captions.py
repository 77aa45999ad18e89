"""The line under a chart: what its points rest on, and how energy was obtained."""

import pandas as pd

from odllm_controller.analysis.queries.results import Row
from odllm_controller.metrics import Basis, Metric, brief


def caption(results: pd.DataFrame, metric: Metric) -> str:
    """What the points of a chart rest on.

    Args:
        results: The rows that are drawn.
        metric: What is drawn.
    """
    methods = sorted(set(results["energy_method"].dropna()))
    parts = (
        f"{len(results)} {'trial' if len(results) == 1 else 'trials'}",
        _basis(results, metric),
        _disturbed(results),
        f"energy: {' and '.join(methods)}" if methods else "",
        _uncertainty(results, metric),
    )
    return " · ".join(part for part in parts if part)


def resting(row: Row) -> str:
    """What the figures of one trial rest on.

    Args:
        row: Its row of `results.load`.
    """
    counts = pd.DataFrame([{key: row[key] for key in ("flagged_repeats", "flags")}])
    parts = (
        f"{_counted(pd.Series([row['repeats']]), 'repeat')} in"
        f" {_counted(pd.Series([row['rounds']]), 'round')}",
        _disturbed(counts),
        f"energy: {row['energy_method']}" if pd.notna(row["energy_method"]) else "",
    )
    return " · ".join(part for part in parts if part)


def _basis(results: pd.DataFrame, metric: Metric) -> str:
    if metric.basis is Basis.CHECK:
        return "one quality check each, bars: 95 % interval from its standard error"
    if metric.basis is Basis.ROUNDS:
        return f"median of {_counted(results['rounds'], 'round')} each"
    short = "" if results[metric.low].notna().all() else " (from 2 rounds and 6 repeats on)"
    repeats = _counted(results["repeats"], "repeat")
    return f"median of {repeats} each, bars: its 95 % interval{short}"


def _counted(counts: pd.Series, noun: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    numbers = str(low) if low == high else f"{low} to {high}"
    return f"{numbers} {noun}" if high == 1 else f"{numbers} {noun}s"


def _disturbed(results: pd.DataFrame) -> str:
    flagged = int(results["flagged_repeats"].sum())
    flags = {flag for text in results["flags"].dropna() for flag in text.split(",") if flag}
    return f"{_counted(pd.Series([flagged]), 'repeat')} flagged {', '.join(sorted(flags))}" * (
        flagged > 0
    )


def _uncertainty(results: pd.DataFrame, metric: Metric) -> str:
    """How far off the sensor may be, of a metric that tells."""
    if metric.uncertainty not in results:
        return ""
    shares = (results[metric.uncertainty] / results[metric.name]).dropna()
    return (
        f"its sensor may be off by {brief(float(f'{100 * shares.max():.2g}'))} %"
        if len(shares)
        else ""
    )
