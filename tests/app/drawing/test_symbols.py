"""How models and origins are told apart."""

import altair as alt
import pandas as pd

from odllm_app.drawing.picture import picture
from odllm_app.drawing.symbols import MARKS, legend, legend_of_origins, points, symbols
from odllm_controller.analysis.queries.origins import FigureOrigin


def test_no_two_models_look_the_same() -> None:
    drawn = symbols([f"model-{n}" for n in range(42)])
    assert len({(symbol.colour, symbol.shape) for symbol in drawn}) == 42


def test_no_two_origins_look_the_same_without_colour() -> None:
    assert set(MARKS) == set(FigureOrigin)
    assert len({(mark.fill, mark.dash) for mark in MARKS.values()}) == len(FigureOrigin)


def test_points_are_drawn_as_their_origin_asks() -> None:
    rows = pd.DataFrame(
        {"x": range(7), "model": "m", "origin": [str(each) for each in FigureOrigin]}
    )
    drawn = picture(points(alt.Chart(rows).encode(x="x:Q", y="x:Q"), symbols(["m"])), "svg")
    looks = [part.partition(">")[0] for part in drawn.decode().split("<path ")]
    marks = [look for look in looks if 'aria-roledescription="point"' in look]
    told = {
        (
            look.partition('fill-opacity="')[2].partition('"')[0],
            look.partition('stroke-dasharray="')[2].partition('"')[0],
        )
        for look in marks
    }
    assert len(marks) == len(told) == len(FigureOrigin)


def test_the_legends_do_not_trust_names() -> None:
    assert "<script>" not in legend(symbols(["<script>"]))


def test_only_origins_that_are_drawn_are_explained() -> None:
    told = legend_of_origins({"measured", "virtual"})
    assert "measured: filled" in told
    assert "virtual: hollow" in told
    assert "simulated" not in told
