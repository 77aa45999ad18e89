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
    chart.save(file, format=form, ppi=_PIXELS_PER_INCH)
    drawn = file.getvalue()
    return drawn if isinstance(drawn, bytes) else drawn.encode()
