"""A chart with everything that belongs to it: what it rests on, its table, its downloads."""

import io
from dataclasses import dataclass
from typing import Literal, TypeAlias

import altair as alt
import pandas as pd
import streamlit as st

from app.tables import show_table

_PIXELS_PER_INCH = 144

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart
"""A chart of any make that pages draw."""


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
    st.altair_chart(_with_flat_title(figure.chart), width="stretch", key=figure.name)
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


def picture(chart: Chart, form: Literal["svg", "png"]) -> bytes:
    """A chart as a file, drawn here without a browser or a network."""
    file = io.BytesIO() if form == "png" else io.StringIO()
    _with_flat_title(chart).save(file, format=form, ppi=_PIXELS_PER_INCH)
    drawn = file.getvalue()
    return drawn if isinstance(drawn, bytes) else drawn.encode()


def _with_flat_title(chart: Chart) -> Chart:
    """The chart with the title of its upward axis above it: upright, a long one is cut off."""
    titled: Chart = chart.configure_axisY(
        titleAngle=0, titleAlign="left", titleAnchor="end", titleX=-40, titleY=-12
    )
    return titled
