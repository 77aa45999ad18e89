"""The page itself."""

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from odllm_app.drawing.symbols import legend, legend_of_origins, symbols
from odllm_app.report.answers import answers, claims
from odllm_app.report.report_charts import drawings
from odllm_app.report.table import figures, troubles
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.account import Account
from odllm_controller.analysis.queries.origins import all_origins

_METHOD = (
    "Every trial ran in a fresh process in every round, the rounds in an order shuffled by the"
    " seed. Times are those of the engine's own calls, without tokenizer, template or sampling.",
    "A figure is the median of the measured repeats of whole rounds; warm-ups and failed rounds are"
    " stored and not counted. The range behind it is its 95 % interval, by a bootstrap over rounds"
    " and the repeats in them; below 2 rounds or 6 repeats there is none.",
    "Bits per weight are 8 x the bytes of all weight tensors / the number of weights, read from the"
    " file's own tensors.",
)


def render(told: Account, found: pd.DataFrame) -> str:
    """The page of a run; every name in it is text, whatever it looks like.

    Args:
        told: What the run was.
        found: The rows of its trials, as `results.load` gives them.
    """
    measured = results.measured(found)
    of_models = symbols(list(dict.fromkeys(found["model"])))
    environment = Environment(
        loader=PackageLoader("odllm_app.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    # Both are HTML already, with the names in it escaped.
    legends = legend(of_models), legend_of_origins(all_origins(measured))
    return environment.get_template("page.html").render(
        account=told,
        counts=_counts(found),
        notes=results.notes(found),
        answers=answers(found),
        claims=claims(found),
        legend=Markup("").join(map(Markup, legends)),
        groups=list(drawings(measured, of_models)),
        figures=figures(measured),
        troubles=troubles(found),
        method=_METHOD,
    )


def _counts(found: pd.DataFrame) -> str:
    counts = found["status"].value_counts()
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    return f"{len(found)} trials: {told}" if told else "No trials"
