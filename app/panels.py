"""Figures of metrics against bits per weight: a chart for everything that may share one."""

from collections.abc import Iterator, Sequence

import pandas as pd
import streamlit as st

from app.alike import panels
from app.captions import caption
from app.charts import Axes, chart, chosen_fits, shown, titled
from app.figure import Figure, show
from app.plain import plain
from app.view import View
from odllm_controller.analysis.curves import QUANTIZED_TYPES, Against
from odllm_controller.analysis.fits import Fit, fits
from odllm_controller.analysis.metrics import Metric

# More charts than these on one page make it slow, and nobody compares them.
_MOST_FIGURES = 24


def show_metrics(
    view: View, metrics: Sequence[Metric], measured: pd.DataFrame, against: Against = Against.BPW
) -> None:
    """A figure of each metric for every device, workload and configuration, two in a row.

    Metrics that nothing has are told of in one line per reason.

    Args:
        view: What the page was given.
        metrics: What to show.
        measured: The rows to show.
        against: What to set them against.
    """
    made = [
        figure
        for metric in metrics
        if measured[metric.name].notna().any()
        for figure in _figures(view, Axes(metric, against, _with(measured, metric)))
    ]
    show_in_pairs(made)
    _tell_missing(metrics, measured)


def show_in_pairs(figures: Sequence[Figure]) -> None:
    """Figures two in a row, one alone across the page, and how many more there would be."""
    drawn = figures[:_MOST_FIGURES]
    if len(drawn) == 1:
        show(drawn[0])
        return
    for start in range(0, len(drawn), 2):
        pair = drawn[start : start + 2]
        for column, figure in zip(st.columns(2, gap="medium"), pair, strict=False):
            with column:
                show(figure)
    if len(figures) > len(drawn):
        st.info(f"{len(figures) - len(drawn)} more charts are left out. Choose less on the left.")


def _with(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    return rows[rows[metric.name].notna()]


def _figures(view: View, axes: Axes) -> Iterator[Figure]:
    metric = axes.metric
    for place, (names, rows) in enumerate(panels(axes.beside)):
        title = ", ".join(map(plain, names))
        lines = fits(rows, (metric,), axes.against)
        heading = f"**{metric.label}** · {metric.better}"
        yield Figure(
            name=f"{metric.name.replace('_', '-')}-{place + 1}",
            heading=f"{heading} · {title}" if title else heading,
            chart=chart(rows, axes, view.symbols, lines),
            table=titled(shown(rows, axes), axes),
            caption=" · ".join(part for part in (caption(rows, metric), _told(lines)) if part),
        )


def _told(lines: Sequence[Fit]) -> str:
    """What the lines of a chart are, and how well they fit."""
    drawn = chosen_fits(lines)
    if not drawn:
        return ""
    without = any(fit.types == QUANTIZED_TYPES for fit in drawn)
    explained = [fit.r2 for fit in drawn if fit.r2 is not None]
    r2 = f", R² {_range(explained)}" if explained else ""
    return f"lines: least squares{' without F16' if without else ''}{r2}"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _tell_missing(metrics: Sequence[Metric], measured: pd.DataFrame) -> None:
    """Says of each reason which metrics it leaves without a figure, in all trials or in some."""
    without: dict[tuple[str, int], list[str]] = {}
    for metric in metrics:
        count = int(measured[metric.name].isna().sum())
        if count:
            without.setdefault((metric.why_missing(measured), count), []).append(metric.label)
    for (reason, count), labels in without.items():
        told = (
            "unavailable"
            if count == len(measured)
            else f"none in {count} of {len(measured)} trials"
        )
        st.info(f"{', '.join(labels)}: {told}, {plain(reason, 300)}")
