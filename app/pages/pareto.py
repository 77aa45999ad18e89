"""Pareto: two metrics against each other, and what is surely beaten in both."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import altair as alt
import pandas as pd
import streamlit as st

from odllm_app.drawing import symbols
from odllm_app.drawing.captions import caption
from odllm_app.drawing.charts import HEIGHT
from odllm_app.drawing.escaping import plain
from odllm_app.drawing.figure import Figure
from odllm_app.drawing.symbols import Symbol, colours
from odllm_app.pages.panels import show_in_pairs
from odllm_app.view.empty import show_nothing_measured
from odllm_app.view.view import View
from odllm_controller.analysis.advice.pareto import Dominance, ParetoPlace, front
from odllm_controller.analysis.queries.findings import table
from odllm_controller.analysis.queries.origins import origins
from odllm_controller.metrics import METRICS, Metric

Axis = TypeVar("Axis", alt.X, alt.Y)

# Colour and shape are the model's, as on every page; so it is told by size, and by a name.
_SIZES = {Dominance.ON: 190.0, Dominance.UNDECIDED: 75.0, Dominance.OFF: 30.0}
_OPACITIES = {Dominance.ON: 1.0, Dominance.UNDECIDED: 0.85, Dominance.OFF: 0.4}
_QUALITIES = ("Accuracy, mean over tasks", "Perplexity")
_LEGEND = (
    "large and named: on the front · middle: undecided · small and faint: off it, something else is"
    " surely better in both"
)
_TITLES = {
    "model": "Model",
    "quantization": "Type",
    "configuration": "Engine",
    "standing": "Front",
    "dominated_by": "Beaten by",
    "dominated": "with probability",
    "origin": "Origin",
    "reason": "Remark",
}


def page(view: View) -> None:
    """Draws the page."""
    measured = view.measured
    if measured.empty:
        show_nothing_measured()
        return
    along, upwards = _ask(measured)
    if along == upwards:
        st.info("Choose two metrics: by one alone there is a best, and no front.")
        return
    places = table(front(measured, (along, upwards)), ParetoPlace)
    show_in_pairs(list(_figures(view, places, along, upwards)))
    reasons = places["reason"][places["standing"] == Dominance.NOT_PLACED]
    for reason, count in reasons.value_counts().items():
        st.info(f"{count} not placed: {plain(reason, 300)}")
    st.caption(_LEGEND)


def _ask(measured: pd.DataFrame) -> tuple[Metric, Metric]:
    """The choice of two metrics that there are figures of."""
    by_label = {each.label: each for each in METRICS if measured[each.name].notna().any()}
    left, right = st.columns(2)
    with left:
        along = _select("Along", "x", list(by_label), "Decode speed")
    with right:
        upwards = _select("Upwards", "y", list(by_label), *_QUALITIES, "Peak memory")
    return by_label[along], by_label[upwards]


def _select(label: str, key: str, labels: list[str], *preferred: str) -> str:
    at = next((labels.index(each) for each in preferred if each in labels), 0)
    return st.selectbox(label, labels, index=at, key=key, bind="query-params")


def _figures(view: View, places: pd.DataFrame, along: Metric, upwards: Metric) -> Iterator[Figure]:
    """A chart for every device and workload."""
    measured = view.measured
    placed = places[places["standing"] != Dominance.NOT_PLACED]
    groups = placed.groupby(["device", "workload_label"], sort=False)
    for place, ((device, workload), alike) in enumerate(groups):
        rows = measured[measured["trial_id"].isin(set(alike["trial_id"]))]
        drawn = _drawn(rows, alike, along, upwards)
        named = f" · {plain(device)}, {plain(workload)}" if len(groups) > 1 else ""
        counts = ", ".join(f"{int((alike['standing'] == each).sum())} {each}" for each in _SIZES)
        parts = [caption(rows, each).split(" · ") for each in (upwards, along)]
        yield Figure(
            name=f"pareto-{place + 1}",
            heading=f"**{upwards.label} against {along.label.lower()}**{named}",
            chart=_chart(drawn, along, upwards, view.symbols),
            table=_titled(drawn, along, upwards),
            # What is so of both metrics is told once.
            caption=" · ".join([counts, *dict.fromkeys(chain.from_iterable(parts))]),
        )


def _drawn(
    rows: pd.DataFrame, places: pd.DataFrame, along: Metric, upwards: Metric
) -> pd.DataFrame:
    """What the chart shows, in shown units."""
    columns = {"origin": origins(rows, upwards), "trial_id": rows["trial_id"]}
    for axis, of in (("x", along), ("y", upwards)):
        for end, name in (("", of.name), ("_low", of.low), ("_high", of.high)):
            values = rows[name] if name in rows else pd.Series(float("nan"), index=rows.index)
            columns[f"{axis}{end}"] = values / of.per_unit
    columns["name"] = rows["model"] + " " + rows["quantization"]
    drawn = pd.DataFrame(columns).merge(places, on="trial_id").astype({"standing": str})
    return drawn.drop(columns=["trial_id", "device", "workload_label"])


def _chart(
    drawn: pd.DataFrame, along: Metric, upwards: Metric, of: Sequence[Symbol]
) -> alt.LayerChart:
    base = alt.Chart(drawn).encode(
        color=colours(of),
        opacity=alt.Opacity("standing:N", scale=_scale(_OPACITIES), legend=None),
    )
    x, y = _axis(alt.X, "x", along), _axis(alt.Y, "y", upwards)
    bars = base.mark_rule()
    points = symbols.points(base, of).encode(
        x=x,
        y=y,
        size=alt.Size("standing:N", scale=_scale(_SIZES), legend=None),
        tooltip=[alt.Tooltip(f"{name}:N", title=title) for name, title in _TITLES.items()],
    )
    names = base.transform_filter(alt.datum.standing == str(Dominance.ON)).mark_text(
        align="left", dx=9, limit=150
    )
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        bars.encode(x=_axis(alt.X, "x_low", along), x2="x_high:Q", y=y).transform_filter(
            "isValid(datum.x_low)"
        ),
        bars.encode(x=x, y=_axis(alt.Y, "y_low", upwards), y2="y_high:Q").transform_filter(
            "isValid(datum.y_low)"
        ),
        points,
        names.encode(x=x, y=y, text="name:N"),
    )
    return layered.properties(height=HEIGHT)


def _axis(kind: type[Axis], field: str, of: Metric) -> Axis:
    return kind(f"{field}:Q", title=f"{of.title} · {of.better}", scale=alt.Scale(zero=False))


def _scale(by_standing: Mapping[Dominance, float]) -> alt.Scale:
    return alt.Scale(domain=list(map(str, by_standing)), range=[*by_standing.values()])


def _titled(drawn: pd.DataFrame, along: Metric, upwards: Metric) -> pd.DataFrame:
    axes = {
        f"{axis}{end}": f"{of.title}{told}"
        for axis, of in (("x", along), ("y", upwards))
        for end, told in (("", ""), ("_low", ", 95 % from"), ("_high", ", 95 % to"))
    }
    titles = _TITLES | axes
    return drawn[list(titles)].rename(columns=titles)
