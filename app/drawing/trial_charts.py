"""Charts of one trial: its repeats, its tokens, its power."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from odllm_app.drawing.charts import HEIGHT
from odllm_app.drawing.picture import Chart
from odllm_app.drawing.symbols import COLOURS
from odllm_controller.analysis.queries.results import Row

TOKENS = {
    "position": "Place",
    "tokens": "Tokens",
    "token_ms": "Median (ms)",
    "low_ms": "5 % (ms)",
    "high_ms": "95 % (ms)",
    "slowest_ms": "Slowest (ms)",
}
POWER = {
    "phase": "Phase",
    "domain": "Domain",
    "meter": "Meter",
    "start_s": "From (s)",
    "end_s": "To (s)",
    "power_w": "Power (W)",
}
_KINDS = ("measured", "disturbed", "warm-up", "not counted")
_SHAPES = ("circle", "cross", "triangle-up", "diamond")
_PHASES = ["prefill", "decode"]
_ON_TOP = alt.Legend(orient="top", title=None)


def shown_repeats(repeats: pd.DataFrame) -> pd.DataFrame:
    """Repeats in their order, each with what kind it is.

    Args:
        repeats: `Detail.repeats`.
    """
    kinds = pd.Series("measured", index=repeats.index)
    kinds[repeats["flags"] != ""] = "disturbed"
    kinds[repeats["warmup"]] = "warm-up"
    kinds[~repeats["complete"]] = "not counted"
    places = [f"{n}.{each}" for n, each in zip(repeats["round"], repeats["repeat"], strict=True)]
    return repeats.assign(
        kind=kinds, place=places, order=range(len(repeats)), ttft_ms=1000 * repeats["ttft_s"]
    )


def of_repeats(repeats: pd.DataFrame, row: Row) -> Chart:
    """The decode speed of every repeat, and the trial's median with its interval.

    Args:
        repeats: `Detail.repeats`.
        row: The trial's row of `results.load`.
    """
    drawn = shown_repeats(repeats)[
        ["order", "place", "decode_tok_s", "kind", "flags", "round", "repeat"]
    ].dropna(subset="decode_tok_s")
    y = alt.Y("decode_tok_s:Q", title="Decode speed (tok/s)", scale=alt.Scale(zero=False))
    points = (
        alt.Chart(drawn)
        .mark_point(size=55, strokeWidth=1.8, filled=False)
        .encode(
            x=alt.X("order:O", title="Repeat", axis=alt.Axis(labels=False, ticks=False)),
            y=y,
            shape=alt.Shape("kind:N", scale=_kinds(drawn, _SHAPES), legend=_ON_TOP),
            color=alt.Color("kind:N", scale=_kinds(drawn, COLOURS), legend=_ON_TOP),
            tooltip=[
                alt.Tooltip("place:N", title="Round and repeat"),
                alt.Tooltip("decode_tok_s:Q", title="Decode speed (tok/s)", format=",.4~g"),
                alt.Tooltip("kind:N", title="Kind"),
                alt.Tooltip("flags:N", title="Disturbed by"),
            ],
        )
    )
    return alt.layer(*_median(row), points).properties(height=HEIGHT)


def _kinds(drawn: pd.DataFrame, looks: Sequence[str]) -> alt.Scale:
    """The look of every kind; of those that are not there the legend says nothing."""
    there = [
        (kind, look)
        for kind, look in zip(_KINDS, looks, strict=False)
        if kind in set(drawn["kind"])
    ]
    return alt.Scale(domain=[kind for kind, _ in there], range=[look for _, look in there])


def _median(row: Row) -> list[alt.Chart]:
    names = ("decode_tok_s", "decode_tok_s_low", "decode_tok_s_high")
    middle, low, high = (row[name] for name in names)
    drawn = alt.Chart(pd.DataFrame({"middle": [middle], "low": [low], "high": [high]}))
    band = drawn.mark_rect(opacity=0.15, color=COLOURS[0]).encode(y="low:Q", y2="high:Q")
    line = drawn.mark_rule(strokeWidth=1.5, color=COLOURS[0]).encode(y="middle:Q")
    present = [line] if pd.notna(middle) else []
    return [band, *present] if pd.notna(low) else present


def shown_tokens(tokens: pd.DataFrame) -> pd.DataFrame:
    """Token times in milliseconds, with the columns of `TOKENS`."""
    return pd.DataFrame(
        {
            "position": tokens["position"],
            "tokens": tokens["tokens"],
            "token_ms": 1000 * tokens["token_s"],
            "low_ms": 1000 * tokens["token_s_low"],
            "high_ms": 1000 * tokens["token_s_high"],
            "slowest_ms": 1000 * tokens["slowest_s"],
        }
    )


def of_tokens(shown: pd.DataFrame) -> Chart:
    """The time of each token by its place in the output.

    Args:
        shown: What `shown_tokens` gives.
    """
    base = alt.Chart(shown).encode(x=alt.X("position:Q", title="Place in the output"))
    title = "Time per token (ms)"
    scale = alt.Scale(zero=False)
    band = base.mark_area(opacity=0.25, color=COLOURS[0]).encode(
        y=alt.Y("low_ms:Q", title=title, scale=scale), y2="high_ms:Q"
    )
    slowest = base.mark_point(size=12, color=COLOURS[3], filled=True).encode(
        y=alt.Y("slowest_ms:Q", title=title, scale=scale),
        tooltip=[
            alt.Tooltip(f"{name}:Q", title=label, format=",.4~g") for name, label in TOKENS.items()
        ],
    )
    line = base.mark_line(strokeWidth=1.8, color=COLOURS[0]).encode(
        y=alt.Y("token_ms:Q", title=title, scale=scale)
    )
    return alt.layer(band, slowest, line).properties(height=HEIGHT)


def of_power(trace: pd.DataFrame) -> Chart:
    """The power of every domain in one repeat.

    Args:
        trace: The rows of `Detail.power` of that repeat.
    """
    several = trace["domain"].nunique() > 1
    drawn: alt.Chart = (
        alt.Chart(trace[list(POWER)])
        .mark_rule(strokeWidth=2.5)
        .encode(
            x=alt.X("start_s:Q", title="Seconds since the repeat began"),
            x2="end_s:Q",
            y=alt.Y("power_w:Q", title="Power (W)", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "phase:N", scale=alt.Scale(domain=_PHASES, range=list(COLOURS[:2])), legend=_ON_TOP
            ),
            strokeDash=alt.StrokeDash("domain:N", legend=_ON_TOP if several else None),
            tooltip=[alt.Tooltip(name, title=label) for name, label in POWER.items()],
        )
        .properties(height=HEIGHT)
    )
    return drawn
