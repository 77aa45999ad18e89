"""Tables: what failed or cannot run and why, and all results in figures."""

import pandas as pd
import streamlit as st

from odllm_controller.analysis.metrics import METRICS

_SUBJECT = {
    "device": "Device",
    "model": "Model",
    "quantization": "Type",
    "workload_label": "Workload",
    "configuration": "Engine",
    "file_bpw": "File BPW",
}
_CIRCUMSTANCES = {
    "status": "Status",
    "repeats": "Repeats",
    "flags": "Flags",
    "others_cores": "Others' cores",
    "energy_method": "Energy",
    "runtime_bpw": "Runtime BPW",
}
_FAILED = {
    "device": "Device",
    "model": "Model",
    "quantization": "Type",
    "workload_label": "Workload",
    "configuration": "Engine",
    "failure_kind": "Error",
    "failure": "What went wrong",
    "remedy": "What to do",
}
_SKIPPED = {
    "device": "Device",
    "model": "Model",
    "quantization": "Type",
    "workload_label": "Workload",
    "configuration": "Engine",
    "skip_reason": "Why it cannot run",
}


def show_failed(rows: pd.DataFrame) -> None:
    """Lists trials that failed, each with its reason and its remedy."""
    _list("Failed", rows, _FAILED)


def show_skipped(rows: pd.DataFrame) -> None:
    """Lists trials that were not tried because they cannot run, each with its reason."""
    _list("Skipped", rows, _SKIPPED)


def show_results(rows: pd.DataFrame) -> None:
    """Shows all figures in shown units, and offers them as CSV in the store's own units."""
    st.subheader("Table")
    st.dataframe(_figures(rows), hide_index=True)
    st.download_button(
        "Download as CSV",
        rows.to_csv(index=False),
        file_name="odllm-results.csv",
        mime="text/csv",
        on_click="ignore",
        help="All columns of the view `results`, in seconds, bytes, joules and watts",
    )


def _figures(rows: pd.DataFrame) -> pd.DataFrame:
    columns = {
        **{title: rows[name] for name, title in _SUBJECT.items()},
        **{
            metric.title: (rows[metric.name] / metric.per_unit).map(_four_figures)
            for metric in METRICS
            if rows[metric.name].notna().any()
        },
        **{title: rows[name] for name, title in _CIRCUMSTANCES.items()},
    }
    return pd.DataFrame(columns)


def _four_figures(value: float) -> float:
    """A number as precise as a reader can use; the download has all digits."""
    return float(f"{value:.4g}")


def _list(title: str, rows: pd.DataFrame, columns: dict[str, str]) -> None:
    """Some columns of rows under a title, if there are any."""
    if not rows.empty:
        st.subheader(title)
        st.dataframe(rows[list(columns)].rename(columns=columns), hide_index=True)
