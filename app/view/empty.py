"""What a page says where there is nothing to draw, and what to do about it."""

from pathlib import Path

import streamlit as st

from odllm_agent.errors import StoreError
from odllm_controller.overrides import line


def show_unreadable(error: StoreError) -> None:
    """Says why the store cannot be read."""
    st.error(error.message, icon="🗄️")
    st.info(error.remedy)


def show_nothing_stored(path: Path) -> None:
    """Says how results get into the store."""
    st.info("Nothing is stored yet. Results appear here as they come in.")
    st.code(line.into_store(path), language="bash")


def show_nothing_measured() -> None:
    """Says that the chosen trials have no figures."""
    st.info(
        "None of the chosen trials has been measured yet. Choose others on the left,"
        " or look at what failed and what is still planned on the page Runs."
    )
