"""Charts of one metric against bits per weight or bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from odllm_app.drawing.symbols import Symbol, colours, points
from odllm_controller.analysis.matching.families import is_quantized
from odllm_controller.analysis.queries.origins import FigureOrigin, origins
from odllm_controller.analysis.queries.published import Published
from odllm_controller.analysis.scaling.curves import QUANTIZED_TYPES, Against
from odllm_controller.analysis.scaling.fits import Fit
from odllm_controller.metrics import Group, Metric

HEIGHT = 280
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Axes:
    """What a chart sets against what.

    Attributes:
        metric: Upwards.
        against: Along.
        beside: The rows of all charts beside this one, so that they share their scales.
        backdrop: Figures of others that are drawn behind.
    """

    metric: Metric
    against: Against
    beside: pd.DataFrame
    backdrop: Sequence[Published] = ()

    @property
    def title(self) -> str:
        """Of the axis along the bottom."""
        of_bpw = self.against is Against.BPW
        return "Bits per weight of the file" if of_bpw else "Size of the file (MB)"

    @property
    def per_unit(self) -> float:
        """How much of the column's unit one shown unit is, along the bottom."""
        return 1.0 if self.against is Against.BPW else _MB


def chart(
    results: pd.DataFrame, axes: Axes, symbols: Sequence[Symbol], fits: Sequence[Fit] = ()
) -> alt.LayerChart:
    """A metric of one device and configuration against bits per weight or bytes.

    Args:
        results: The rows to draw; every one has the metric.
        axes: What to draw.
        symbols: Of all models, so that each keeps its own in every chart.
        fits: The lines to draw: from each, over the points of its model.

    Returns:
        Bars of the 95 % interval, a point per trial, and a line per fit.
    """
    drawn = shown(results, axes)
    base = alt.Chart(drawn).encode(x=_along(axes, "x"))
    layers = [_behind(axes)] if axes.backdrop else []
    lines = _lines(drawn, axes, fits)
    if not lines.empty:
        layers.append(
            alt.Chart(lines)
            .mark_line(strokeWidth=1.5, opacity=0.65, clip=True)
            .encode(x=_along(axes, "x"), y=_upwards(axes, "y"), color=colours(symbols))
        )
    bars = base.mark_rule(strokeWidth=2, clip=True).encode(
        y=_upwards(axes, "low"), y2=alt.Y2("high:Q"), color=colours(symbols)
    )
    marks = points(base, symbols).encode(y=_upwards(axes, "value"), tooltip=_tooltips(axes))
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        *layers, bars.transform_filter("isValid(datum.low)"), marks
    )
    return layered.properties(height=HEIGHT)


def shown(results: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """The few columns that a chart needs, in the units that it shows.

    Args:
        results: The rows that are drawn.
        axes: What is drawn.
    """
    metric = axes.metric
    missing = pd.Series(float("nan"), index=results.index)
    return pd.DataFrame(
        {
            "model": results["model"],
            "quantization": results["quantization"],
            "x": results[axes.against] / axes.per_unit,
            "value": results[metric.name] / metric.per_unit,
            "low": results.get(metric.low, missing) / metric.per_unit,
            "high": results.get(metric.high, missing) / metric.per_unit,
            "origin": origins(results, metric),
            "device": results["device"],
            "configuration": results["configuration"],
            "workload": results["workload_label"],
            "repeats": results["repeats"].astype(int),
            "rounds": results["rounds"].astype(int),
            "flags": results["flags"].replace("", "none"),
            "energy": results["energy_method"],
        }
    )


def backdrop(axes: Axes) -> pd.DataFrame:
    """The figures behind a chart, with the columns of `shown` that they have.

    Args:
        axes: What is drawn.
    """
    told = [each for each in axes.backdrop if each.value is not None and each.file_bpw is not None]
    return pd.DataFrame(
        {
            "model": [each.model for each in told],
            "quantization": [each.quantization for each in told],
            "x": [each.file_bpw for each in told],
            "value": [(each.value or 0.0) / axes.metric.per_unit for each in told],
            "origin": str(FigureOrigin.PUBLISHED),
            "subject": [each.subject for each in told],
            "source": [f"{each.source}: {each.certainty}" for each in told],
        }
    )


def titled(drawn: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """What a chart shows, as a table for readers.

    Args:
        drawn: What `shown` gives, and `backdrop`.
        axes: What is drawn.
    """
    titles = {
        "model": "Model",
        "quantization": "Type",
        "x": axes.title,
        "value": axes.metric.title,
        "low": "95 % from",
        "high": "95 % to",
        "origin": "Origin",
        "device": "Device",
        "configuration": "Engine",
        "workload": "Workload",
        "repeats": "Repeats",
        "rounds": "Rounds",
        "flags": "Disturbed by",
        "energy": "Energy",
        "subject": "Of what",
        "source": "Source",
    }
    return drawn.rename(columns=titles)


def _behind(axes: Axes) -> alt.Chart:
    """What others published, in grey and small: a backdrop and no measure."""
    drawn: alt.Chart = (
        alt.Chart(backdrop(axes))
        .mark_point(shape="cross", color="gray", size=40, filled=False, opacity=0.8, clip=True)
        .encode(
            x=_along(axes, "x"),
            y=_upwards(axes, "value"),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("quantization:N", title="Type"),
                alt.Tooltip("value:Q", title=axes.metric.title, format=",.4~g"),
                alt.Tooltip("subject:N", title="Of what"),
                alt.Tooltip("source:N", title="Published"),
            ],
        )
    )
    return drawn


def chosen_fits(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """Of each model the line that is drawn: that without F16 where there is one."""
    there = [fit for fit in fits if fit.slope is not None]
    without = {fit.model for fit in there if fit.types == QUANTIZED_TYPES}
    return tuple(fit for fit in there if fit.types == QUANTIZED_TYPES or fit.model not in without)


def _lines(drawn: pd.DataFrame, axes: Axes, fits: Sequence[Fit]) -> pd.DataFrame:
    """Both ends of every line, over the points that it was fitted to."""
    rows: list[dict[str, object]] = []
    for fit in chosen_fits(fits):
        of_model = drawn[drawn["model"] == fit.model]
        if fit.types == QUANTIZED_TYPES:
            of_model = of_model[of_model["quantization"].map(is_quantized)]
        ends = (of_model["x"].min(), of_model["x"].max())
        rows += [{"model": fit.model, "x": x, "y": _height(fit, axes, x)} for x in ends]
    return pd.DataFrame(rows, columns=["model", "x", "y"])


def _height(fit: Fit, axes: Axes, x: float) -> float:
    """Where a line that has a slope is, in shown units."""
    at = (fit.intercept or 0.0) + (fit.slope or 0.0) * x * axes.per_unit
    return at / axes.metric.per_unit


def _along(axes: Axes, field: str) -> alt.X:
    places = pd.concat([axes.beside[axes.against] / axes.per_unit, backdrop(axes)["x"]])
    return alt.X(f"{field}:Q", title=axes.title, scale=_scale(places), axis=alt.Axis(tickCount=6))


def _upwards(axes: Axes, field: str) -> alt.Y:
    metric = axes.metric
    names = [name for name in (metric.low, metric.high) if name in axes.beside]
    scale = _scale(
        pd.concat([axes.beside[metric.name] / metric.per_unit, backdrop(axes)["value"]]),
        axes.beside[names] / metric.per_unit,
        zero=metric.group is not Group.QUALITY,
    )
    return alt.Y(f"{field}:Q", title=metric.title, scale=scale)


def _scale(places: pd.Series, bars: pd.DataFrame | None = None, *, zero: bool = False) -> alt.Scale:
    """A scale that holds all points with a little room around them.

    Args:
        places: What it holds.
        bars: What it holds too, but for those that are so long that the points would look alike:
            they are cut off at the edge.
        zero: Whether it begins at 0.
    """
    low, high = 0.0 if zero else float(places.min()), float(places.max())
    span = high - low or abs(high) or 1.0
    if bars is not None and bars.notna().any(axis=None):
        low = max(low - span, min(low, float(bars.min().min())))
        high = min(high + span, max(high, float(bars.max().max())))
    room = 0.06 * (high - low or span)
    return alt.Scale(domain=[0 if zero else low - room, high + room], nice=False, zero=zero)


def _tooltips(axes: Axes) -> list[alt.Tooltip]:
    number = ",.4~g"
    return [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("quantization:N", title="Type"),
        alt.Tooltip("x:Q", title=axes.title, format=number),
        alt.Tooltip("value:Q", title=axes.metric.title, format=number),
        alt.Tooltip("low:Q", title="95 % from", format=number),
        alt.Tooltip("high:Q", title="95 % to", format=number),
        alt.Tooltip("origin:N", title="Origin"),
        alt.Tooltip("repeats:Q", title="Repeats"),
        alt.Tooltip("rounds:Q", title="Rounds"),
        alt.Tooltip("device:N", title="Device"),
        alt.Tooltip("configuration:N", title="Engine"),
        alt.Tooltip("workload:N", title="Workload"),
        alt.Tooltip("flags:N", title="Disturbed by"),
        alt.Tooltip("energy:N", title="Energy"),
    ]
