"""A chart as a picture."""

import io
from typing import Literal, TypeAlias

import altair as alt

_PIXELS_PER_INCH = 144

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart
"""A chart of any make that pages draw."""


def picture(chart: Chart, form: Literal["svg", "png"]) -> bytes:
    """A chart as a file, drawn here without a browser or a network."""
    file = io.BytesIO() if form == "png" else io.StringIO()
    with_flat_title(chart).save(file, format=form, ppi=_PIXELS_PER_INCH)
    drawn = file.getvalue()
    return drawn if isinstance(drawn, bytes) else drawn.encode()


def with_flat_title(chart: Chart) -> Chart:
    """The chart with the title of its upward axis above it: upright, a long one is cut off."""
    titled: Chart = chart.configure_axisY(
        titleAngle=0, titleAlign="left", titleAnchor="end", titleX=-40, titleY=-12
    )
    return titled
