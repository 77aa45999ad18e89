"""Threshold: whether few bits of a larger model beat many of a smaller one, and the five claims."""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from odllm_app.drawing.charts import HEIGHT
from odllm_app.drawing.escaping import plain
from odllm_app.drawing.figure import Figure
from odllm_app.drawing.symbols import Symbol, colours, points
from odllm_app.drawing.tables import show_table
from odllm_app.pages.panels import show_in_pairs, show_metrics
from odllm_app.view.empty import show_nothing_measured
from odllm_app.view.view import View
from odllm_controller.analysis.claims.claims import verdicts
from odllm_controller.analysis.claims.pairwise import QUALITIES, Advantage, advantages
from odllm_controller.analysis.claims.threshold import CLAIMED_BPW, Threshold, thresholds
from odllm_controller.analysis.claims.verdict import Verdict
from odllm_controller.analysis.queries.findings import table
from odllm_controller.analysis.queries.origins import origins
from odllm_controller.analysis.scaling.curves import Against
from odllm_controller.analysis.statistics.standing import Standing
from odllm_controller.metrics import metric

_LONGEST = 2000
_ROOM_BPW = 0.3
_BPW_TITLE = "Bits per weight of the larger model"
_MARKS = {
    Standing.SUPPORTED: "✔",
    Standing.CONTRADICTED: "✘",
    Standing.UNDECIDED: "?",
}
_UNITS = {
    "accuracy": "Advantage (points of accuracy)",
    "perplexity": "Advantage (perplexity, log ratio in %)",
}
_PAIR = ["device", "configuration", "workload_label", "smaller", "larger", "quality", "cost"]
_PERCENTS = ["advantage", "advantage_low", "advantage_high"]
_ADVANTAGES = {
    "larger": "Larger model",
    "quantization": "Type",
    "file_bpw": "File BPW",
    "advantage": "Advantage (%)",
    "advantage_low": "95 % from",
    "advantage_high": "95 % to",
    "smaller": "Smaller model",
}
_THRESHOLDS = {
    "device": "Device",
    "configuration": "Engine",
    "workload_label": "Workload",
    "larger": "Larger model",
    "smaller": "Smaller model",
    "cost": "Equal in",
    "quality": "By",
    "n": "Types",
    "at_bpw": "Crossing (BPW)",
    "low_bpw": "95 % from",
    "high_bpw": "95 % to",
    "standing": f"Around {CLAIMED_BPW}",
    "reason": "Why there is none",
}


def page(view: View) -> None:
    """Draws the page."""
    if view.measured.empty:
        show_nothing_measured()
        return
    st.subheader("At equal room, how much better is the larger model?")
    _show_thresholds(view, *_compared(view.measured))
    st.subheader("What the data say of the paper's five claims")
    for each in _judged(view.measured):
        st.markdown(f"**{each.number}\\. {each.claim}** {_MARKS[each.standing]} *{each.standing}*")
        st.markdown(plain(each.evidence, _LONGEST))
        wanted = f" · what would decide it: {each.wanted}" if each.wanted else ""
        st.caption(f"rests on {each.sample}{plain(wanted, _LONGEST)}")
    st.subheader("Scores against the size of the file")
    show_metrics(view, [metric(name) for name in QUALITIES], view.measured, Against.BYTES)


@st.cache_data(max_entries=4, show_spinner=False)
def _compared(measured: pd.DataFrame) -> tuple[tuple[Threshold, ...], pd.DataFrame]:
    return thresholds(measured), table(advantages(measured), Advantage)


@st.cache_data(max_entries=4, show_spinner=False)
def _judged(measured: pd.DataFrame) -> tuple[Verdict, ...]:
    return verdicts(measured)


def _show_thresholds(view: View, found: Sequence[Threshold], drawn: pd.DataFrame) -> None:
    if not found:
        st.info(
            "No two sizes of one family of models have scores here. The reference ladder has:"
            " `odllm run +experiment=sweep`."
        )
        return
    show_in_pairs(list(_figures(view, [each for each in found if not each.reason], drawn)))
    with st.expander("All pairs", expanded=all(each.reason for each in found)):
        show_table(table(found, Threshold)[list(_THRESHOLDS)].rename(columns=_THRESHOLDS))


def _figures(view: View, told: Sequence[Threshold], drawn: pd.DataFrame) -> Iterator[Figure]:
    """A chart for every pair that has types to compare."""
    of_pairs = drawn.groupby(_PAIR, sort=False)
    for place, each in enumerate(told):
        rows = of_pairs.get_group(tuple(getattr(each, name) for name in _PAIR))
        shown = _shown(view.measured, rows)
        where = ", ".join(filter(None, (each.device, each.configuration, each.workload_label)))
        compared = f"by {each.quality}, at equal {each.room} · {plain(where)}"
        yield Figure(
            name=f"threshold-{place + 1}",
            heading=f"**{plain(each.larger)} against {plain(each.smaller)}** · {compared}",
            chart=_chart(shown, each, view.symbols),
            table=shown[list(_ADVANTAGES)].rename(columns=_ADVANTAGES),
            caption=_caption(each),
        )


def _caption(of: Threshold) -> str:
    known = "bars: 95 % interval" if of.spread else "scores without errors, taken as known"
    return (
        f"{plain(of.statement, _LONGEST)} · {of.n} types · {known} · above 0 the larger model is"
        f" better · band: where the crossing may lie · dashed: the paper's {CLAIMED_BPW}"
    )


def _shown(measured: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The points in the units that are shown, each with the origin of its device's scores."""
    quality = metric(rows["quality"].iloc[0])
    of_devices = dict(zip(measured["device"], origins(measured, quality), strict=True))
    shown = rows.assign(model=rows["larger"], origin=rows["device"].map(of_devices))
    shown[_PERCENTS] *= 100
    return shown


def _chart(shown: pd.DataFrame, of: Threshold, symbols: Sequence[Symbol]) -> alt.LayerChart:
    low = min(CLAIMED_BPW, shown["file_bpw"].min()) - _ROOM_BPW
    high = max(CLAIMED_BPW, shown["file_bpw"].max()) + _ROOM_BPW
    along = alt.Scale(domain=[low, high], nice=False, zero=False)
    title = _UNITS[of.quality]
    base = alt.Chart(shown).encode(x=alt.X("file_bpw:Q", title=_BPW_TITLE, scale=along))
    bars = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("advantage_low:Q", title=title), y2="advantage_high:Q", color=colours(symbols)
    )
    marks = points(base, symbols).encode(
        y=alt.Y("advantage:Q", title=title),
        tooltip=[alt.Tooltip(name, title=label) for name, label in _ADVANTAGES.items()],
    )
    zero = _marked({"at": 0.0}).mark_rule(color="gray").encode(y=alt.Y("at:Q"))
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        *_crossing(of, low, high, along), zero, bars, marks
    )
    return layered.properties(height=HEIGHT)


def _crossing(of: Threshold, low: float, high: float, along: alt.Scale) -> Iterator[alt.Chart]:
    """The band where the crossing may lie, open ends drawn to the edge, and the paper's place."""
    if of.low_bpw is not None or of.high_bpw is not None:
        ends = {"from": of.low_bpw or low, "to": of.high_bpw or high}
        yield (
            _marked(ends)
            .mark_rect(opacity=0.15, color="gray")
            .encode(x=alt.X("from:Q", scale=along), x2="to:Q")
        )
    if of.at_bpw is not None:
        yield (
            _marked({"at": of.at_bpw}).mark_rule(color="gray").encode(x=alt.X("at:Q", scale=along))
        )
    yield (
        _marked({"at": CLAIMED_BPW})
        .mark_rule(strokeDash=[4, 3])
        .encode(x=alt.X("at:Q", scale=along))
    )


def _marked(place: Mapping[str, float]) -> alt.Chart:
    return alt.Chart(pd.DataFrame([place]))
