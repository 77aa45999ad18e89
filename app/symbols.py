"""The colour and shape of each model, the same in every chart."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

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


def symbols(models: Sequence[str]) -> tuple[Symbol, ...]:
    """A symbol for each model; with 6 colours and 7 shapes no two of 42 models look the same."""
    shapes = tuple(_SHAPES)
    return tuple(
        Symbol(model, COLOURS[place % len(COLOURS)], shapes[place % len(shapes)])
        for place, model in enumerate(models)
    )


def legend(drawn: Sequence[Symbol]) -> str:
    """The legend as HTML: one line per model."""
    lines = (
        f'<div><span style="color:{symbol.colour}">{_SHAPES[symbol.shape]}</span>'
        f" {html.escape(symbol.model)}</div>"
        for symbol in drawn
    )
    return "".join(lines)
