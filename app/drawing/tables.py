"""Tables as readers see them: titles for columns, four figures for numbers, links to trials."""

from collections.abc import Mapping
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from odllm_controller.analysis.queries.subject import TITLES
from odllm_controller.metrics import METRICS

_SUBJECT = {**TITLES, "file_bpw": "File BPW"}
_CIRCUMSTANCES = {
    "status": "Status",
    "repeats": "Repeats",
    "flags": "Flags",
    "others_cores": "Others' cores",
    "energy_method": "Energy",
    "runtime_bpw": "Runtime BPW",
}
_FAILED = {
    **TITLES,
    "failure_kind": "Error",
    "failure": "What went wrong",
    "remedy": "What to do",
}
_SKIPPED = {
    **TITLES,
    "skip_reason": "Why it cannot run",
}
_HELD = {
    **TITLES,
    "hold_reason": "Why it was left",
}
# More rows than anyone reads only make the page slow; the download has them all.
_MOST_ROWS = 500


def show_failed(rows: pd.DataFrame) -> None:
    """Lists trials that failed, each with its reason and its remedy."""
    show_list("Failed", rows, _FAILED)


def show_skipped(rows: pd.DataFrame) -> None:
    """Lists trials that were not tried because they cannot run, each with its reason."""
    show_list("Skipped", rows, _SKIPPED)


def show_held(rows: pd.DataFrame) -> None:
    """Lists trials that a run left, each with its reason."""
    show_list("Left for a later run", rows, _HELD)


def show_results(rows: pd.DataFrame) -> None:
    """Shows all figures in shown units, and offers them as CSV in the store's own units."""
    st.subheader("Table")
    shown = rows.head(_MOST_ROWS)
    show_table(_figures(shown).assign(Trial=trial_links(shown)))
    if len(rows) > len(shown):
        st.caption(f"The first {len(shown)} of {len(rows)} trials; the download has all.")
    st.download_button(
        "Download as CSV",
        lambda: rows.to_csv(index=False).encode(),
        file_name="odllm-results.csv",
        mime="text/csv",
        on_click="ignore",
        help="All columns of the view `results`, in seconds, bytes, joules and watts",
    )


def show_list(title: str, rows: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Some columns of rows under a title, if there are any.

    Args:
        title: Above them.
        rows: What to list.
        columns: The titles of the columns that are shown, by their names.
    """
    if not rows.empty:
        st.subheader(title)
        listed = rows.head(_MOST_ROWS)
        linked = listed[list(columns)].rename(columns=dict(columns))
        show_table(linked.assign(Trial=trial_links(listed)))


def show_table(table: pd.DataFrame) -> None:
    """A table whose numbers have four figures; a column `Trial` holds links."""
    link = st.column_config.LinkColumn("Trial", display_text="open")
    st.dataframe(
        table.apply(_rounded),
        hide_index=True,
        column_config={"Trial": link} if "Trial" in table else None,
    )


def trial_links(rows: pd.DataFrame) -> pd.Series:
    """The address of the page of each row's trial, if it has one."""
    return rows["trial_id"].map(
        lambda trial: f"trial?{urlencode({'trial': trial})}", na_action="ignore"
    )


def _figures(rows: pd.DataFrame) -> pd.DataFrame:
    columns = {
        **{title: rows[name] for name, title in _SUBJECT.items()},
        **{
            metric.title: rows[metric.name] / metric.per_unit
            for metric in METRICS
            if rows[metric.name].notna().any()
        },
        **{title: rows[name] for name, title in _CIRCUMSTANCES.items()},
    }
    return pd.DataFrame(columns)


def _rounded(column: pd.Series) -> pd.Series:
    """Numbers as precise as a reader can use; a download has all digits."""
    if column.dtype.kind != "f":
        return column
    return column.map(lambda value: float(f"{value:.4g}"), na_action="ignore")
