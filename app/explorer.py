"""The explorer's page: every metric against bits per weight, per model and device.

Started by `odllm explore`, which runs `streamlit run app/explorer.py -- --store FILE`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from app import filters
from app.captions import caption
from app.charts import chart
from app.symbols import Symbol, legend, symbols
from app.tables import show_failed, show_results, show_skipped
from odllm_agent.errors import StoreError
from odllm_controller.analysis import results
from odllm_controller.analysis.metrics import METRICS, Group, Metric

_DURING_A_RUN_S = 3
_OTHERWISE_S = 10
_PANEL = ["device", "workload_label", "configuration"]


def main(arguments: Sequence[str]) -> None:
    """Draws the page once."""
    path = _path(arguments)
    st.set_page_config(page_title="ODLLM explorer", page_icon="📊", layout="wide")
    st.html("<style>.stMainBlockContainer {padding-top: 2.5rem}</style>")
    st.title("ODLLM explorer")
    stamp = _stamp(path)
    try:
        found, run = _load(path, stamp)
    except StoreError as error:
        st.error(error.message, icon="🗄️")
        st.info(error.remedy)
        _watch(path, stamp, _DURING_A_RUN_S)
        return
    _show(path, found, run)
    _watch(path, stamp, _DURING_A_RUN_S if run else _OTHERWISE_S)


def _path(arguments: Sequence[str]) -> Path:
    parser = argparse.ArgumentParser(prog="streamlit run app/explorer.py --")
    parser.add_argument("--store", type=Path, default=Path("results/odllm.duckdb"))
    chosen: Path = parser.parse_args(list(arguments)).store
    return chosen


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes whenever the file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@st.cache_data(max_entries=2, show_spinner=False)
def _load(
    path: Path,
    stamp: tuple[int, int] | None,  # noqa: ARG001 - a part of the cache's key
) -> tuple[pd.DataFrame, results.UnderWay | None]:
    return results.load(path), results.under_way(path)


def _watch(path: Path, stamp: tuple[int, int] | None, every_s: int) -> None:
    """Draws the page again once the file has changed."""

    @st.fragment(run_every=every_s)
    def look() -> None:
        if _stamp(path) != stamp:
            st.rerun(scope="app")

    look()


def _show(path: Path, found: pd.DataFrame, run: results.UnderWay | None) -> None:
    if found.empty:
        st.info("Nothing is stored yet. Results appear here as they come in.")
        st.code(f"odllm run +experiment=sweep store.path={path}", language="bash")
        return
    chosen = filters.choose(found)
    _show_progress(path, found, run)
    measured = results.measured(chosen)
    if measured.empty:
        st.info("None of the chosen trials has been measured yet.")
    else:
        of_models = symbols(list(dict.fromkeys(found["model"])))
        _show_legend([symbol for symbol in of_models if symbol.model in set(measured["model"])])
        for group in Group:
            _show_group(group, measured, of_models)
    show_failed(results.failed(chosen))
    show_skipped(results.skipped(chosen))
    show_results(chosen)


def _show_progress(path: Path, found: pd.DataFrame, run: results.UnderWay | None) -> None:
    counts = found["status"].value_counts()
    told = ", ".join(
        f"{counts[status]} {status}"
        for status in ("done", "partial", "failed", "skipped", "planned")
        if status in counts
    )
    st.caption(f"`{path}` · {len(found)} trials: {told}")
    for note in results.notes(found):
        st.info(note)
    if run:
        done = sum(int(counts.get(status, 0)) for status in ("done", "failed", "skipped"))
        st.progress(done / len(found), f"A run of *{run.experiment}* is under way: {run.run}")


def _show_legend(drawn: Sequence[Symbol]) -> None:
    with st.sidebar:
        st.header("Models")
        st.html(legend(drawn))


def _show_group(group: Group, measured: pd.DataFrame, of_models: Sequence[Symbol]) -> None:
    """The charts of one group; metrics that nothing has are told of in one line."""
    st.subheader(group.value)
    metrics = [metric for metric in METRICS if metric.group is group]
    present = [metric for metric in metrics if measured[metric.name].notna().any()]
    panels = [
        (metric, title, rows)
        for metric in present
        for title, rows in _panels(measured[measured[metric.name].notna()])
    ]
    for start in range(0, len(panels), 2):
        for column, panel in zip(
            st.columns(2, gap="medium"), panels[start : start + 2], strict=False
        ):
            with column:
                _show_panel(*panel, of_models, measured)
    _tell_missing(metrics, measured)


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
        st.info(f"{', '.join(labels)}: {told}, {reason}")


def _panels(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """What may share one chart: rows that differ only in their model."""
    varying = [name for name in _PANEL if rows[name].nunique() > 1]
    for key, panel in rows.groupby(_PANEL, sort=False):
        named = dict(zip(_PANEL, key, strict=True))
        yield ", ".join(str(named[name]) for name in varying), panel


def _show_panel(
    metric: Metric,
    title: str,
    rows: pd.DataFrame,
    of_models: Sequence[Symbol],
    measured: pd.DataFrame,
) -> None:
    heading = f"**{metric.label}** · {metric.better}"
    st.markdown(f"{heading} · {title}" if title else heading)
    beside = measured[measured[metric.name].notna()]
    st.altair_chart(chart(rows, metric, of_models, beside), width="stretch")
    st.caption(caption(rows, metric))


main(sys.argv[1:])
