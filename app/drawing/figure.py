"""A chart with everything that belongs to it: what it rests on, its table, its downloads."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from odllm_app.drawing.picture import Chart, picture, with_flat_title
from odllm_app.drawing.tables import show_table


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, and what is shown around it.

    Attributes:
        name: Of the files that it is downloaded as, without an ending; unlike any other's on the
            page.
        heading: Above it, in Markdown; names out of a store in it have gone through `plain`.
        chart: The chart.
        table: Exactly what the chart shows, with the titles of its columns.
        caption: What it rests on, below it, in Markdown: see `captions.caption`.
    """

    name: str
    heading: str
    chart: Chart
    table: pd.DataFrame
    caption: str


def show(figure: Figure) -> None:
    """Draws a figure where Streamlit is."""
    st.markdown(figure.heading)
    st.altair_chart(with_flat_title(figure.chart), width="stretch", key=figure.name)
    st.caption(figure.caption)
    with st.expander("Table and downloads"):
        show_table(figure.table)
        _offer_downloads(figure)


def _offer_downloads(figure: Figure) -> None:
    """Buttons for the chart's files; a picture is made only once it is asked for."""
    with st.container(horizontal=True):
        for ending, mime, made in (
            ("csv", "text/csv", lambda: figure.table.to_csv(index=False).encode()),
            ("svg", "image/svg+xml", lambda: picture(figure.chart, "svg")),
            ("png", "image/png", lambda: picture(figure.chart, "png")),
        ):
            st.download_button(
                ending.upper(),
                made,
                file_name=f"odllm-{figure.name}.{ending}",
                mime=mime,
                key=f"{figure.name}-{ending}",
                on_click="ignore",
            )
