"""Answer: which configurations to choose under which limits, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

from odllm_agent.errors import UsageError
from odllm_app.drawing import symbols
from odllm_app.drawing.escaping import plain, short
from odllm_app.drawing.figure import Figure, show
from odllm_app.drawing.symbols import Symbol, colours
from odllm_app.drawing.tables import show_table
from odllm_app.view.empty import show_nothing_measured
from odllm_app.view.loading import Stamp
from odllm_app.view.view import View
from odllm_controller.analysis import prediction
from odllm_controller.analysis.advice import limits, objective, rerun, wording
from odllm_controller.analysis.advice.advice import Advice, Question, advise
from odllm_controller.analysis.advice.choice import Choice
from odllm_controller.analysis.advice.limits import Limit
from odllm_controller.analysis.advice.objective import QUALITY, Objective
from odllm_controller.analysis.advice.rerun import RunRequest
from odllm_controller.analysis.prediction import Facts
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.origins import of_kind
from odllm_controller.analysis.queries.tasks import tasks, with_errors
from odllm_controller.metrics import ALIASES, METRICS, TASK, metric
from odllm_controller.overrides import conf

_REASON = 300
_TOP = 5
_TITLES = {
    "name": "Configuration",
    "value": "Value",
    "low": "95 % from",
    "high": "95 % to",
    "best": "Probability that it is the best",
    "meets": "Probability that it meets the limits",
}


@dataclass(frozen=True, slots=True)
class Input:
    """A limit that can be set.

    Attributes:
        key: Its name in the page's address.
        label: What it is called.
        example: What may be written.
        metric: What it bounds, or `None` of quality, which depends on what the rows have.
    """

    key: str
    label: str
    example: str
    metric: str | None


_INPUTS = (
    Input("memory", "Memory at most", "8GB", "peak_rss_bytes"),
    Input("decode", "Tokens/s at least", "10", "decode_tok_s"),
    Input("ttft", "First token within", "2s", "ttft_s"),
    Input("power", "Watts at most", "15W", "mean_w"),
    Input("quality", "Quality at least", "60%, of perplexity 12", None),
)


def page(view: View) -> None:
    """Draws the page."""
    rows = view.chosen
    aim_name, written = _ask(rows)
    if results.measured(rows).empty and not st.session_state.get("predict"):
        show_nothing_measured()
        return
    try:
        aim = objective.parse(aim_name, rows)
        question = Question(aim, tuple(_limits(written, aim, rows)), _TOP)
    except UsageError as error:
        st.error(plain(error.message, _REASON))
        st.info(plain(error.remedy, _REASON))
        return
    facts, origins = _load(view.path, view.stamp)
    rows = with_errors(view.path, rows)
    for place, answer in enumerate(_answers(view, rows, facts, question)):
        _show(view, answer, aim, place)
        _show_next(answer, rerun.next_command(answer.turning, origins, view.path))


def _ask(rows: pd.DataFrame) -> tuple[str, Mapping[str, str]]:
    """Shows what can be asked; the objective, and what was written for each limit."""
    columns = st.columns(len(_INPUTS) + 1)
    own = [*(QUALITY, *ALIASES, *conf.options("kpi")), *(f"{TASK}{task}" for task in tasks(rows))]
    by_label = dict(zip(own, own, strict=True)) | {each.label: each.name for each in METRICS}
    with columns[0]:
        label = st.selectbox("Best by", list(by_label), key="objective", bind="query-params")
    written = {}
    for column, each in zip(columns[1:], _INPUTS, strict=True):
        with column:
            written[each.key] = st.text_input(
                each.label, placeholder=each.example, key=each.key, bind="query-params"
            )
    st.toggle(
        "Also predict what was not measured, from what each device does at most",
        key="predict",
        bind="query-params",
    )
    return by_label[label], written


def _limits(written: Mapping[str, str], aim: Objective, rows: pd.DataFrame) -> Iterator[Limit]:
    for each in _INPUTS:
        if written[each.key]:
            of = metric(each.metric) if each.metric else objective.quality_metric(aim, rows)
            yield limits.parse(written[each.key], of)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(
    path: Path,
    stamp: Stamp,  # noqa: ARG001 - a part of the cache's key
) -> tuple[Facts, Mapping[str, RunRequest]]:
    return prediction.load(path), rerun.load(path)


def _answers(view: View, rows: pd.DataFrame, facts: Facts, question: Question) -> Iterator[Advice]:
    yield from advise(rows, question)
    if not st.session_state.get("predict"):
        return
    chosen = set(rows["workload_label"].dropna())
    for device_id in sorted(set(rows["device_id"].dropna())):
        found = prediction.predict(view.results, facts, device_id)
        yield from advise(found[found["workload_label"].isin(chosen)], question)


def _show(view: View, answer: Advice, aim: Objective, place: int) -> None:
    marked = ", :orange-badge[predicted, not measured]" if answer.predicted else ""
    st.subheader(f"{plain(answer.device)}, {plain(answer.workload_label)}{marked}")
    if answer.choices:
        st.success(f"**{plain(answer.choices[0].name)}** · {wording.sureness(answer)}")
    else:
        st.warning(f"{plain(answer.blame, _REASON)}.")
        if answer.closest:
            st.markdown("What comes nearest:")
    if shown := answer.choices or ((answer.closest,) if answer.closest else ()):
        show_table(pd.DataFrame([_told(each, shown, aim) for each in shown]))
        show(_figure(view, answer, shown, aim, place))
    if answer.costs:
        costs = (f"- {plain(wording.cost(each, aim), _REASON)}" for each in answer.costs)
        st.markdown("**What each limit costs**")
        st.markdown("\n".join(costs))


def _show_next(answer: Advice, following: str) -> None:
    """Shows what would make the answer surer, and what else is to be known of it."""
    if answer.turning:
        st.markdown(f"**To be surer:** {plain(wording.turn(answer.turning), _REASON)}")
    if following:
        st.code(following, language="bash", wrap_lines=True)
    _show_remarks(answer)


def _told(choice: Choice, beside: Sequence[Choice], aim: Objective) -> Mapping[str, str]:
    """A row of the table: what is chosen, how sure that is, and its figures in words."""
    told = {found.metric: wording.measured(found) for found in choice.figures}
    names = dict.fromkeys(found.metric for each in beside for found in each.figures)
    return {
        "Model": choice.model,
        "Type": choice.quantization,
        "Engine": choice.configuration,
        "Best with": wording.percent(choice.best),
        **({} if aim.single else {"Merit": wording.merit(choice, aim)}),
        **{metric(name).label: told.get(name, "") for name in names},
        "Energy": choice.energy_method,
    }


def _figure(
    view: View, answer: Advice, shown: Sequence[Choice], aim: Objective, place: int
) -> Figure:
    origin = of_kind(answer.device_kind, predicted=answer.predicted)
    drawn = pd.DataFrame([_drawn(each, aim) for each in shown]).assign(origin=str(origin))
    title = aim.single.title if aim.single else f"KPI {aim.name}: share of the best figures"
    compared = f"the first {len(drawn)} of {answer.n} that were compared"
    if answer.n == 1:
        compared = "the only configuration that was measured"
    bars = "bars: 95 % interval" if drawn["low"].notna().any() else "no intervals"
    return Figure(
        name=f"answer-{place + 1}",
        heading=f"**{plain(answer.objective)}**",
        chart=_chart(drawn, title, view.symbols),
        table=drawn[list(_TITLES)].rename(columns=_TITLES | {"value": title}),
        caption=f"{compared} · {origin} · {bars}",
    )


def _drawn(choice: Choice, aim: Objective) -> Mapping[str, object]:
    """A row of the chart, in shown units."""
    single = aim.single
    per_unit = single.per_unit if single else 1.0
    ends = [
        (found.low, found.high)
        for found in choice.figures
        if single is not None and found.metric == single.name
    ]
    low, high = ends[0] if ends else (None, None)
    return {
        "name": short(choice.name),
        "model": choice.model,
        "value": choice.merit / per_unit,
        "low": low / per_unit if low is not None else float("nan"),
        "high": high / per_unit if high is not None else float("nan"),
        "best": choice.best,
        "meets": choice.meets,
    }


def _chart(drawn: pd.DataFrame, title: str, of: Sequence[Symbol]) -> alt.LayerChart:
    base = alt.Chart(drawn).encode(
        y=alt.Y("name:N", sort=list(drawn["name"]), title=None, axis=alt.Axis(labelLimit=320))
    )
    scale = alt.Scale(zero=False, padding=12)
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", color=colours(of)
    )
    points = symbols.points(base, of).encode(
        x=alt.X("value:Q", title=title, scale=scale),
        tooltip=[alt.Tooltip(f"{name}:N", title=told) for name, told in _TITLES.items()],
    )
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        bars.transform_filter("isValid(datum.low)"), points
    )
    return layered.properties(height=60 + 28 * len(drawn))


def _show_remarks(answer: Advice) -> None:
    left_out = (f"left out, {aside.n}: {aside.reason}" for aside in answer.asides)
    bases = (f"{each.name}: {each.prediction}" for each in answer.choices if each.prediction)
    remarks = (*bases, *left_out, *answer.notes)
    if remarks:
        st.caption("  \n".join(plain(remark, _REASON) for remark in remarks))
