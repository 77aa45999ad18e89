"""Runs: every run with what became of it; one that goes on moves by itself."""

from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

from odllm_app.drawing.escaping import plain
from odllm_app.drawing.figure import Figure, show
from odllm_app.drawing.symbols import COLOURS
from odllm_app.drawing.tables import show_failed, show_held, show_skipped, show_table
from odllm_app.view.loading import Stamp
from odllm_app.view.view import View
from odllm_controller.analysis.queries import results, runs
from odllm_controller.analysis.queries.results import STATUSES, Row, records

_RUNS = {
    "run": "Run",
    "experiment": "Experiment",
    "status": "Status",
    "started_at": "Began (UTC)",
    "minutes": "Minutes",
    "devices": "Devices",
    "trials": "Trials",
    "whole_rounds": "Rounds measured",
    "failed_rounds": "Rounds failed",
    "failures": "Failures",
    "skips": "Skipped",
    "origin": "Origin",
}
_PROGRESS = {
    "device": "Device",
    "whole_rounds": "Rounds measured",
    "planned_rounds": "Rounds planned",
    "trials": "Trials",
    "last_at": "Last round began (UTC)",
}
# Fewer bars than a window is high; the table has all devices.
_MOST_BARS = 40
_BAR_HEIGHT = 26


def page(view: View) -> None:
    """Draws the page."""
    found = _load(view.path, view.stamp)
    counts = view.results["status"].value_counts()
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)
    st.caption(f"{plain(view.path, 200)} · {len(view.results)} trials: {told}")
    if found.empty:
        st.info("No run was recorded here: what this store holds was imported.")
        return
    shown = found.assign(minutes=found["wall_s"] / 60)
    show_table(shown[list(_RUNS)].rename(columns=_RUNS))
    chosen: str = st.selectbox("Run", list(found["run"]), key="run", bind="query-params")
    (row,) = records(found[found["run"] == chosen])
    _show_progress(view, row)
    _show_failures(view, chosen)
    of_run = view.results[view.results["run"] == chosen]
    show_failed(results.failed(of_run))
    show_held(results.held(of_run))
    show_skipped(results.skipped(of_run))
    _show_conditions(row)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(
    path: Path,
    stamp: Stamp,  # noqa: ARG001 - a part of the cache's key
) -> pd.DataFrame:
    return runs.runs(path)


def _show_progress(view: View, run: Row) -> None:
    found = runs.progress(view.path, run["run"])
    if found.empty:
        st.info("This run planned nothing that could be measured.")
        return
    whole, planned = int(found["whole_rounds"].sum()), int(found["planned_rounds"].sum())
    show(
        Figure(
            "runs-progress",
            f"**Rounds of {plain(run['run'])}** · {whole} of {planned} are whole",
            _chart(found.head(_MOST_BARS)),
            found[list(_PROGRESS)].rename(columns=_PROGRESS),
            _told(found),
        )
    )


def _told(found: pd.DataFrame) -> str:
    told = "pale: planned, dark: measured, in this run or before"
    if len(found) > _MOST_BARS:
        told += f" · the first {_MOST_BARS} of {len(found)} devices; the table has all"
    return told


def _chart(found: pd.DataFrame) -> alt.LayerChart:
    drawn = found[["device", "device_id", "whole_rounds", "planned_rounds", "trials"]].assign(
        device=found["device"].str.slice(0, 40)
    )
    base = alt.Chart(drawn).encode(
        y=alt.Y("device:N", title=None, sort=None),
        tooltip=[
            alt.Tooltip(name, title=_PROGRESS[name])
            for name in ("device", "whole_rounds", "planned_rounds", "trials")
        ],
    )
    planned = base.mark_bar(opacity=0.25, color=COLOURS[0]).encode(
        x=alt.X("planned_rounds:Q", title="Rounds", axis=alt.Axis(tickMinStep=1))
    )
    whole = base.mark_bar(color=COLOURS[0]).encode(x="whole_rounds:Q")
    layered: alt.LayerChart = alt.layer(planned, whole)  # type: ignore[assignment]
    return layered.properties(height=60 + _BAR_HEIGHT * len(drawn))


def _show_failures(view: View, run: str) -> None:
    found = runs.failures(view.path, run)
    if found.empty:
        return
    with st.expander(f"What went wrong, with logs: {len(found)}"):
        for each in runs.causes(found)[:_MOST_BARS]:
            failure = each.first.failure
            st.markdown(f"**{plain(each.head(), 600)}**  \n{plain(failure.remedy, 300)}")
            log = "\n".join(part for part in (failure.traceback, failure.log) if part)
            if log:
                st.code(log, language=None)


def _show_conditions(run: Row) -> None:
    """What the run was, to do it again."""
    with st.expander("Command and config"):
        st.code(run["command"], language="bash")
        st.code(run["config_yaml"], language="yaml")
        commit = run["git_commit"] or "not from a checkout"
        st.text(f"Commit: {commit}\nSeed: {run['seed']}\nVersions: {run['versions']}")
