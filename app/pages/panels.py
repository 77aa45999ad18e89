"""Figures of metrics against bits per weight: a chart for everything that may share one."""

import itertools
from collections.abc import Iterable, Sequence

import pandas as pd
import streamlit as st

from odllm_app.drawing.captions import caption
from odllm_app.drawing.charts import Axes, backdrop, chart, chosen_fits, shown, titled
from odllm_app.drawing.escaping import plain
from odllm_app.drawing.figure import Figure, show
from odllm_app.view.view import View
from odllm_controller.analysis.matching.chart_groups import panels
from odllm_controller.analysis.queries.published import published
from odllm_controller.analysis.scaling.curves import QUANTIZED_TYPES, Against
from odllm_controller.analysis.scaling.fits import Fit, fits
from odllm_controller.metrics import Metric

# More charts than these on one page make it slow, and nobody compares them.
_MOST_ROWS = 12


def show_metrics(
    view: View,
    metrics: Sequence[Metric],
    measured: pd.DataFrame,
    against: Against = Against.BPW,
    *,
    behind: bool = False,
) -> None:
    """A figure of each metric for every device, workload and configuration, two in a row.

    Metrics that nothing has are told of in one line per reason.

    Args:
        view: What the page was given.
        metrics: What to show.
        measured: The rows to show.
        against: What to set them against.
        behind: Whether to draw what others published behind.
    """
    axes = (
        Axes(each, against, measured[there], published(each.name) if behind else ())
        for each in metrics
        if (there := measured[each.name].notna()).any()
    )
    show_in_pairs(
        _figure(view, place, each, names, rows)
        for each in axes
        for place, (names, rows) in enumerate(panels(each.beside))
    )
    _tell_missing(metrics, measured)


def show_in_pairs(figures: Iterable[Figure]) -> None:
    """Figures two in a row, or one alone across the page.

    Args:
        figures: Of a generator each two are asked for once the two before are on their way.
    """
    left = iter(figures)
    for row in range(_MOST_ROWS):
        pair = tuple(itertools.islice(left, 2))
        if not pair:
            return
        alone = row == 0 and len(pair) == 1
        columns = st.columns(1 if alone else 2, gap="medium")
        for column, figure in zip(columns, pair, strict=False):
            with column:
                show(figure)
    if next(left, None):
        st.info(f"There are more than these {2 * _MOST_ROWS} charts. Choose less on the left.")


def _figure(view: View, place: int, axes: Axes, names: Sequence[str], rows: pd.DataFrame) -> Figure:
    metric = axes.metric
    lines = fits(rows, (metric,), axes.against)
    title = ", ".join(map(plain, names))
    heading = f"**{metric.label}** · {metric.better}"
    drawn = shown(rows, axes)
    if axes.backdrop:
        drawn = pd.concat([drawn, backdrop(axes)])
    return Figure(
        name=f"{metric.name.replace('_', '-')}-{place + 1}",
        heading=f"{heading} · {title}" if title else heading,
        chart=chart(rows, axes, view.symbols, lines),
        table=titled(drawn, axes),
        caption=" · ".join(filter(None, (caption(rows, metric), _told(lines), _published(axes)))),
    )


def _published(axes: Axes) -> str:
    """Whose figures stand behind a chart, and how far they can be relied on."""
    if not axes.backdrop:
        return ""
    first = axes.backdrop[0]
    return f"grey crosses: {first.source}, {first.certainty}"


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
