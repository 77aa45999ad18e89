"""Runs: every run with what became of its trials."""

import streamlit as st

from app.view import View


def page(view: View) -> None:
    """Draws the page."""
    counts = view.results["status"].value_counts()
    told = ", ".join(
        f"{counts[status]} {status}"
        for status in ("done", "partial", "failed", "skipped", "held", "planned")
        if status in counts
    )
    st.caption(f"`{view.path}` · {len(view.results)} trials: {told}")
