"""Trade-offs: every metric against bits per weight, per model and device."""

from collections.abc import Iterator, Sequence

import pandas as pd
import streamlit as st

from app.captions import caption
from app.charts import chart, shown
from app.empty import show_nothing_measured
from app.figure import Figure, show
from app.panels import panels
from app.plain import plain
from app.tables import show_failed, show_results, show_skipped
from app.view import View
from odllm_controller.analysis import results
from odllm_controller.analysis.metrics import METRICS, Group, Metric


def page(view: View) -> None:
    """Draws the page."""
    measured = view.measured
    if measured.empty:
        show_nothing_measured()
    else:
        for group in Group:
            _show_group(view, group, measured)
    show_failed(results.failed(view.chosen))
    show_skipped(results.skipped(view.chosen))
    show_results(view.chosen)


def _show_group(view: View, group: Group, measured: pd.DataFrame) -> None:
    """The charts of one group; metrics that nothing has are told of in one line."""
    metrics = [metric for metric in METRICS if metric.group is group]
    st.subheader(group.value)
    figures = [
        figure
        for metric in metrics
        if measured[metric.name].notna().any()
        for figure in _figures(view, metric, measured[measured[metric.name].notna()])
    ]
    for start in range(0, len(figures), 2):
        pair = figures[start : start + 2]
        for column, figure in zip(st.columns(2, gap="medium"), pair, strict=False):
            with column:
                show(figure)
    _tell_missing(metrics, measured)


def _figures(view: View, metric: Metric, beside: pd.DataFrame) -> Iterator[Figure]:
    """A chart of one metric for everything that may share one."""
    for place, (names, rows) in enumerate(panels(beside)):
        heading = f"**{metric.label}** · {metric.better}"
        title = ", ".join(map(plain, names))
        yield Figure(
            name=f"{metric.name.replace('_', '-')}-{place + 1}",
            heading=f"{heading} · {title}" if title else heading,
            chart=chart(rows, metric, view.symbols, beside),
            table=shown(rows, metric),
            caption=caption(rows, metric),
        )


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
