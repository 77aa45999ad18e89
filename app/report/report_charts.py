"""The charts of a report, with what belongs to each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import pandas as pd
from markupsafe import Markup

from odllm_app.drawing.captions import caption
from odllm_app.drawing.charts import Axes, chart, shown
from odllm_app.drawing.symbols import Symbol
from odllm_app.report.inline import inline
from odllm_app.report.table import WordTable, listed
from odllm_controller.analysis.matching.chart_groups import panels
from odllm_controller.analysis.scaling.curves import Against
from odllm_controller.analysis.scaling.fits import fits
from odllm_controller.metrics import METRICS, Group, Metric

_WIDTH = 420
# Of a fleet of hundreds a page of charts would be as long as a book.
_MOST_PANELS = 12


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with what belongs to it.

    Attributes:
        heading: What it shows.
        svg: The chart.
        caption: What it rests on.
        table: What it shows, in figures.
    """

    heading: str
    svg: Markup
    caption: str
    table: WordTable


@dataclass(frozen=True, slots=True)
class Drawings:
    """The charts of one group.

    Attributes:
        title: What they are about.
        drawings: The charts.
        left_out: What is not drawn and why, a line each.
    """

    title: str
    drawings: Sequence[Drawing]
    left_out: Sequence[str]


def drawings(measured: pd.DataFrame, of_models: Sequence[Symbol]) -> Iterator[Drawings]:
    """All charts, group by group.

    Args:
        measured: Rows as `results.load` gives them.
        of_models: How each model is drawn.
    """
    places = count(1)
    for group in Group if len(measured) else ():
        metrics = [each for each in METRICS if each.group is group and each.in_report]
        drawn = [
            drawing
            for metric in metrics
            for drawing in _of_metric(metric, measured, of_models, places)
        ]
        left_out = [line for metric in metrics if (line := _left_out(metric, measured))]
        yield Drawings(group.value, drawn, left_out)


def _of_metric(
    metric: Metric, measured: pd.DataFrame, of_models: Sequence[Symbol], places: Iterator[int]
) -> Iterator[Drawing]:
    axes = Axes(metric, Against.BPW, measured[measured[metric.name].notna()])
    for names, rows in islice(panels(axes.beside), _MOST_PANELS):
        lines = fits(rows, (metric,), axes.against)
        drawn = chart(rows, axes, of_models, lines).properties(width=_WIDTH)
        yield Drawing(
            heading=", ".join((f"{metric.title}, {metric.better}", *names)),
            svg=inline(drawn, next(places)),
            caption=caption(rows, metric),
            table=_table(rows, axes),
        )


def _left_out(metric: Metric, measured: pd.DataFrame) -> str:
    """Why a metric is not drawn at all, or not of everything; nothing if it is."""
    there = measured[measured[metric.name].notna()]
    if there.empty:
        return f"{metric.label}: {metric.why_missing(measured)}"
    n_panels = sum(1 for _ in panels(there))
    if n_panels <= _MOST_PANELS:
        return ""
    what = "devices, workloads and engines"
    return f"{metric.label}: drawn for {_MOST_PANELS} of {n_panels} {what}; the table has all"


def _table(rows: pd.DataFrame, axes: Axes) -> WordTable:
    columns = {
        "model": "Model",
        "quantization": "Type",
        "x": axes.title,
        "value": axes.metric.title,
        "low": "95 % from",
        "high": "to",
        "repeats": "Repeats",
        "flags": "Disturbed by",
        "origin": "Origin",
    }
    return listed(shown(rows, axes), columns)
