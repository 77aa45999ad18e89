"""The store's results, read once per change of the file, and drawn anew when it changes."""

from pathlib import Path
from typing import TypeAlias

import pandas as pd
import streamlit as st

from odllm_controller.analysis.queries import results

Stamp: TypeAlias = tuple[int, int] | None
"""What changes whenever a file does: its time and size; `None` if it is not there."""


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


# Not copied for every page that is drawn, as cache_data would: nobody changes a frame.
@st.cache_resource(max_entries=2, show_spinner=False)
def load(
    path: Path,
    stamp: Stamp,  # noqa: ARG001 - a part of the cache's key
) -> tuple[pd.DataFrame, results.UnderWay | None]:
    """All results, and the run that is under way.

    Args:
        path: The store.
        stamp: Its stamp.

    Raises:
        StoreError: The file cannot be read.
    """
    return results.load(path), results.under_way(path)


def watch(path: Path, stamp: Stamp, every_s: int) -> None:
    """Draws the page again once the file has changed."""

    @st.fragment(run_every=every_s)
    def look() -> None:
        if stamp_of(path) != stamp:
            st.rerun(scope="app")

    look()
