"""How far the run has got that is under way."""

import streamlit as st

from odllm_app.drawing.escaping import plain
from odllm_app.view.view import View
from odllm_controller.analysis.queries.results import UnderWay

_ENDED = ["done", "failed", "skipped"]


def show_progress(view: View, run: UnderWay) -> None:
    """A bar that moves as trials end."""
    ended = view.results["status"].isin(_ENDED)
    told = f"{int(ended.sum())} of {len(ended)} trials"
    label = f"A run of *{plain(run.experiment)}* is under way: {told} have ended"
    st.progress(float(ended.mean()), label)
