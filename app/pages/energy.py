"""Energy: what prefill and decode draw, what a token costs, how that is known, and if not, why."""

from collections.abc import Sequence
from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

from odllm_app.drawing.captions import caption
from odllm_app.drawing.charts import HEIGHT
from odllm_app.drawing.escaping import plain
from odllm_app.drawing.figure import Figure
from odllm_app.drawing.symbols import Symbol, colours, points
from odllm_app.drawing.tables import show_table
from odllm_app.pages.panels import show_in_pairs, show_metrics
from odllm_app.view.empty import show_nothing_measured
from odllm_app.view.loading import Stamp
from odllm_app.view.view import View
from odllm_controller.analysis.claims.phases import phase_powers
from odllm_controller.analysis.matching.chart_groups import panels
from odllm_controller.analysis.queries import hardware
from odllm_controller.analysis.queries.origins import origins
from odllm_controller.analysis.statistics.standing import Standing
from odllm_controller.metrics import brief, metric

_PREFILL, _DECODE = metric("prefill_w"), metric("decode_w")
_PER_TOKEN = (
    "decode_j_per_token",
    "prefill_j_per_token",
    "decode_net_j_per_token",
    "mean_w",
    "load_j",
)
_METERS = {
    "device": "Device",
    "meter": "Meter",
    "method": "Method",
    "domains": "Reads",
    "means": "Made of",
    "reason": "Why it reads nothing",
    "remedy": "How to allow it",
}
_POWERS = {
    "model": "Model",
    "quantization": "Type",
    "prefill_w": "Prefill power (W)",
    "prefill_w_low": "Prefill, 95 % from (W)",
    "prefill_w_high": "Prefill, 95 % to (W)",
    "decode_w": "Decode power (W)",
    "decode_w_low": "Decode, 95 % from (W)",
    "decode_w_high": "Decode, 95 % to (W)",
    "idle_w": "At rest (W)",
    "energy_method": "Method",
    "origin": "Origin",
}


def page(view: View) -> None:
    """Draws the page."""
    measured = view.measured
    if measured.empty:
        show_nothing_measured()
    else:
        _show_power(view, measured)
        st.subheader("What a token costs")
        show_metrics(view, list(map(metric, _PER_TOKEN)), measured)
    _show_meters(view)


def _show_power(view: View, measured: pd.DataFrame) -> None:
    both = measured.dropna(subset=[_PREFILL.name, _DECODE.name])
    if both.empty:
        reason = plain(_DECODE.why_missing(measured), 300)
        st.info(f"None of the chosen trials has both prefill and decode power: {reason}")
        return
    show_in_pairs(_figure(view, place + 1, *panel) for place, panel in enumerate(panels(both)))


def _figure(view: View, number: int, names: Sequence[str], rows: pd.DataFrame) -> Figure:
    title = ", ".join(map(plain, names))
    drawn = rows.assign(origin=origins(rows, _DECODE))[list(_POWERS)]
    heading = "**Prefill against decode power** · below the line prefill draws more"
    return Figure(
        name=f"prefill-decode-power-{number}",
        heading=f"{heading} · {title}" if title else heading,
        chart=_chart(drawn, view.symbols),
        table=drawn.rename(columns=_POWERS),
        caption=" · ".join(part for part in (_more(rows), caption(rows, _DECODE)) if part),
    )


def _more(rows: pd.DataFrame) -> str:
    """How much more prefill draws, and how sure that is."""
    found = phase_powers(rows)
    ratios = sorted(each.ratio for each in found)
    if not ratios:
        return ""
    told = " to ".join(dict.fromkeys(map(brief, (ratios[0], ratios[-1]))))
    surely = sum(each.standing is Standing.SUPPORTED for each in found)
    models = "model" if len(found) == 1 else "models"
    return (
        f"prefill draws {told} times as much as decode; surely more in {surely} of {len(found)}"
        f" {models}"
    )


def _chart(drawn: pd.DataFrame, of: Sequence[Symbol]) -> alt.LayerChart:
    everything = drawn[[name for name in _POWERS if name.endswith(("_w", "_low", "_high"))]]
    everything = everything.drop(columns="idle_w")
    low, high = float(everything.min().min()), float(everything.max().max())
    room = 0.06 * (high - low or high)
    ends = [max(0.0, low - room), high + room]
    scale = alt.Scale(domain=ends, nice=False, zero=False)
    base = alt.Chart(drawn)
    marks = points(base, of).encode(
        x=_along("prefill_w", scale),
        y=_upwards("decode_w", scale),
        tooltip=[alt.Tooltip(name, title=label) for name, label in _POWERS.items()],
    )
    across = base.mark_rule(strokeWidth=1.5).encode(
        x=_along("prefill_w_low", scale),
        x2="prefill_w_high:Q",
        y=_upwards("decode_w", scale),
        color=colours(of),
    )
    upwards = base.mark_rule(strokeWidth=1.5).encode(
        x=_along("prefill_w", scale),
        y=_upwards("decode_w_low", scale),
        y2="decode_w_high:Q",
        color=colours(of),
    )
    there = "isValid(datum.prefill_w_low) && isValid(datum.decode_w_low)"
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        _alike(ends, scale), across.transform_filter(there), upwards.transform_filter(there), marks
    )
    return layered.properties(height=HEIGHT)


def _along(field: str, scale: alt.Scale) -> alt.X:
    return alt.X(f"{field}:Q", title=_PREFILL.title, scale=scale)


def _upwards(field: str, scale: alt.Scale) -> alt.Y:
    return alt.Y(f"{field}:Q", title=_DECODE.title, scale=scale)


def _alike(ends: list[float], scale: alt.Scale) -> alt.Chart:
    """The line on which prefill draws as much as decode."""
    line = pd.DataFrame({"prefill_w": ends, "decode_w": ends})
    drawn: alt.Chart = (
        alt.Chart(line)
        .mark_line(strokeDash=[4, 3], color="gray", strokeWidth=1)
        .encode(
            x=_along("prefill_w", scale),
            y=_upwards("decode_w", scale),
        )
    )
    return drawn


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(
    path: Path,
    stamp: Stamp,  # noqa: ARG001 - a part of the cache's key
) -> pd.DataFrame:
    return hardware.meters(path)


def _show_meters(view: View) -> None:
    found = _load(view.path, view.stamp)
    chosen = found[found["device_id"].isin(set(view.chosen["device_id"]))]
    st.subheader("What each device can tell")
    show_table(chosen[list(_METERS)].rename(columns=_METERS))
