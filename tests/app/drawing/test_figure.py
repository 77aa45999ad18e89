"""A chart with its table and downloads."""

import altair as alt
import pandas as pd

from odllm_app.drawing.picture import picture


def chart() -> alt.LayerChart:
    drawn = alt.Chart(pd.DataFrame({"x": [1, 2], "y": [3, 4]})).encode(x="x:Q")
    title = "A title that is long enough to be cut off (mJ)"
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        drawn.mark_line().encode(y=alt.Y("y:Q", title=title)),
        drawn.mark_point().encode(y=alt.Y("y:Q", title=title)),
    )
    return layered


def test_a_picture_is_made_without_a_browser() -> None:
    assert picture(chart(), "png").startswith(b"\x89PNG")
    drawn = picture(chart(), "svg").decode()
    assert drawn.startswith("<svg")
    assert "A title that is long enough to be cut off (mJ)" in drawn
    assert drawn.count('aria-roledescription="point"') == 2


def test_a_picture_needs_nothing_from_elsewhere() -> None:
    drawn = picture(chart(), "svg").decode()
    assert "href" not in drawn.replace("xmlns:xlink", "")
    assert "url(http" not in drawn
