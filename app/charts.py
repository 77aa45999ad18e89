"""Charts of one metric against bits per weight."""

from collections.abc import Sequence
from typing import Literal

import altair as alt
import pandas as pd

from app.symbols import Symbol
from odllm_controller.analysis.metrics import Group, Metric

_HEIGHT = 240
_BPW_TITLE = "Bits per weight of the file"


def chart(
    results: pd.DataFrame, metric: Metric, symbols: Sequence[Symbol], beside: pd.DataFrame
) -> alt.LayerChart | alt.FacetChart:
    """A metric of one device and configuration against bits per weight.

    Args:
        results: The rows to draw; every one has the metric.
        metric: What to draw.
        symbols: Of all models, so that each keeps its own in every chart.
        beside: The rows of all charts beside this one, so that they share their scales.

    Returns:
        Bars of the 95 % interval, a point per trial, and a line per model.
    """
    everything = shown(beside, metric)
    base = alt.Chart(shown(results, metric)).encode(
        x=alt.X(
            "file_bpw:Q",
            title=_BPW_TITLE,
            scale=_scale(everything["file_bpw"]),
            axis=alt.Axis(tickCount=6),
        ),
        color=alt.Color("model:N", scale=_of(symbols, "colour"), legend=None),
    )
    y = alt.Y(
        "value:Q",
        title=metric.title,
        scale=_scale(
            everything["value"],
            everything[["low", "high"]],
            zero=metric.group is not Group.QUALITY,
        ),
    )
    lines = base.mark_line(strokeWidth=1.5, opacity=0.65).encode(y=y)
    bars = base.mark_rule(strokeWidth=2, clip=True).encode(
        y=alt.Y("low:Q", title=metric.title), y2=alt.Y2("high:Q")
    )
    points = base.mark_point(filled=True, size=50, opacity=1).encode(
        y=y,
        shape=alt.Shape("model:N", scale=_of(symbols, "shape"), legend=None),
        tooltip=_tooltips(metric),
    )
    return alt.layer(lines, bars.transform_filter("isValid(datum.low)"), points).properties(
        height=_HEIGHT
    )


def shown(results: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The few columns that a chart needs, in the units that it shows.

    Args:
        results: The rows that are drawn.
        metric: What is drawn.
    """
    missing = pd.Series(float("nan"), index=results.index)
    return pd.DataFrame(
        {
            "model": results["model"],
            "quantization": results["quantization"],
            "file_bpw": results["file_bpw"],
            "value": results[metric.name] / metric.per_unit,
            "low": results.get(metric.low, missing) / metric.per_unit,
            "high": results.get(metric.high, missing) / metric.per_unit,
            "device": results["device"],
            "configuration": results["configuration"],
            "workload": results["workload_label"],
            "repeats": results["repeats"].astype(int),
            "rounds": results["rounds"].astype(int),
            "flags": results["flags"].replace("", "none"),
            "energy": results["energy_method"],
        }
    )


def _scale(points: pd.Series, bars: pd.DataFrame | None = None, *, zero: bool = False) -> alt.Scale:
    """A scale that holds all points with a little room around them.

    Args:
        points: What it holds.
        bars: What it holds too, but for those that are so long that the points would look alike:
            they are cut off at the edge.
        zero: Whether it begins at 0.
    """
    low, high = 0.0 if zero else float(points.min()), float(points.max())
    span = high - low or abs(high) or 1.0
    if bars is not None and bars.notna().any(axis=None):
        low = max(low - span, min(low, float(bars.min().min())))
        high = min(high + span, max(high, float(bars.max().max())))
    room = 0.06 * (high - low or span)
    return alt.Scale(domain=[0 if zero else low - room, high + room], nice=False, zero=zero)


def _of(symbols: Sequence[Symbol], part: Literal["colour", "shape"]) -> alt.Scale:
    return alt.Scale(
        domain=[symbol.model for symbol in symbols],
        range=[getattr(symbol, part) for symbol in symbols],
    )


def _tooltips(metric: Metric) -> list[alt.Tooltip]:
    number = ",.4~g"
    return [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("quantization:N", title="Type"),
        alt.Tooltip("file_bpw:Q", title="File BPW", format=".2f"),
        alt.Tooltip("value:Q", title=metric.title, format=number),
        alt.Tooltip("low:Q", title="95 % from", format=number),
        alt.Tooltip("high:Q", title="95 % to", format=number),
        alt.Tooltip("repeats:Q", title="Repeats"),
        alt.Tooltip("rounds:Q", title="Rounds"),
        alt.Tooltip("device:N", title="Device"),
        alt.Tooltip("configuration:N", title="Engine"),
        alt.Tooltip("workload:N", title="Workload"),
        alt.Tooltip("flags:N", title="Disturbed by"),
        alt.Tooltip("energy:N", title="Energy"),
    ]
