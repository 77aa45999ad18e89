"""How models and origins are drawn, the same in every chart.

A model has a colour and a shape. Where a figure comes from is told by how the shape is drawn:
filled, pale or hollow, with a whole or a dashed outline, so that nobody needs to see colours.
"""

import html
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import altair as alt

from odllm_controller.analysis.queries.origins import FigureOrigin

# Okabe and Ito's colours that stand out from white and from black, for readers of any eyesight.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_SHAPES = {
    "circle": "●",
    "square": "■",
    "triangle-up": "▲",
    "diamond": "◆",
    "triangle-down": "▼",
    "triangle-right": "▶",
    "cross": "✚",
}
_POINT_SIZE = 65


@dataclass(frozen=True, slots=True)
class Symbol:
    """How a model is drawn.

    Attributes:
        model: Its name.
        colour: Of its points and its line.
        shape: Of its points, by Vega's name.
    """

    model: str
    colour: str
    shape: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How figures of one origin are drawn.

    Attributes:
        fill: How much of the colour is inside the outline, from 0 to 1.
        dash: The lengths of the outline's dashes and gaps; of a whole line 1 and 0.
        told: What a legend says of it.
    """

    fill: float
    dash: tuple[int, int]
    told: str


_WHOLE = (1, 0)
_DASHED = (3, 2)
_DOTTED = (1, 2)
_BORDERS = {_WHOLE: "solid", _DASHED: "dashed", _DOTTED: "dotted"}
MARKS = {
    FigureOrigin.MEASURED: Mark(1, _WHOLE, "filled"),
    FigureOrigin.ESTIMATED: Mark(0.35, _WHOLE, "pale, outlined"),
    FigureOrigin.VIRTUAL: Mark(0, _WHOLE, "hollow"),
    FigureOrigin.SIMULATED: Mark(0, _DASHED, "hollow, dashed"),
    FigureOrigin.IMPORTED: Mark(0.35, _DASHED, "pale, dashed"),
    FigureOrigin.PREDICTED: Mark(0, _DOTTED, "hollow, dotted"),
    FigureOrigin.PUBLISHED: Mark(0.35, _DOTTED, "pale, dotted"),
}
"""How each origin is drawn; no two look alike without colour."""


def symbols(models: Sequence[str]) -> tuple[Symbol, ...]:
    """A symbol for each model; with 6 colours and 7 shapes no two of 42 models look the same."""
    shapes = tuple(_SHAPES)
    return tuple(
        Symbol(model, COLOURS[place % len(COLOURS)], shapes[place % len(shapes)])
        for place, model in enumerate(models)
    )


def points(base: alt.Chart, of: Sequence[Symbol]) -> alt.Chart:
    """Points in the colour and shape of their model, drawn as their origin asks.

    Args:
        base: A chart of rows with the columns `model` and `origin`.
        of: The symbols of all models.
    """
    fills = json.dumps({origin: mark.fill for origin, mark in MARKS.items()})
    marked = base.transform_calculate(filling=f"({fills})[datum.origin]")
    drawn: alt.Chart = marked.mark_point(
        size=_POINT_SIZE, strokeWidth=1.8, opacity=1, filled=False
    ).encode(
        color=colours(of),
        fill=alt.Fill("model:N", scale=_scale(of, "colour"), legend=None),
        shape=alt.Shape("model:N", scale=_scale(of, "shape"), legend=None),
        # Not by a scale: of names it would spread what lies between the first and the last.
        fillOpacity=alt.FillOpacity("filling:Q", scale=None, legend=None),
        strokeDash=alt.StrokeDash(
            "origin:N",
            scale=alt.Scale(domain=list(MARKS), range=[list(mark.dash) for mark in MARKS.values()]),
            legend=None,
        ),
    )
    return drawn


def colours(of: Sequence[Symbol]) -> alt.Color:
    """The colour of each row's model.

    Args:
        of: The symbols of all models.
    """
    return alt.Color("model:N", scale=_scale(of, "colour"), legend=None)


def legend(drawn: Sequence[Symbol]) -> str:
    """The legend of models as HTML: one line each."""
    lines = (
        f'<div><span style="color:{symbol.colour}">{_SHAPES[symbol.shape]}</span>'
        f" {html.escape(symbol.model)}</div>"
        for symbol in drawn
    )
    return "".join(lines)


def legend_of_origins(drawn: Collection[str]) -> str:
    """The legend of origins as HTML: one line each, a circle drawn as a chart would.

    Args:
        drawn: The origins that are in charts.
    """
    return "".join(
        f"<div>{_circle(mark)} {origin}: {mark.told}</div>"
        for origin, mark in MARKS.items()
        if origin in drawn
    )


def _circle(mark: Mark) -> str:
    return (
        '<span style="display:inline-block;width:0.7em;height:0.7em;border-radius:50%;'
        f"border:0.12em {_BORDERS[mark.dash]} currentColor;"
        f'background:color-mix(in srgb, currentColor {100 * mark.fill:.0f}%, transparent)"></span>'
    )


def _scale(of: Sequence[Symbol], part: str) -> alt.Scale:
    return alt.Scale(
        domain=[symbol.model for symbol in of], range=[getattr(symbol, part) for symbol in of]
    )
