"""What somebody wants the best of: one metric, or several with weights."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.terminal.arguments import nearest
from odllm_controller.analysis.advice import kpi
from odllm_controller.analysis.advice.goodness import Goodness, goodness
from odllm_controller.metrics import ALIASES, METRICS, Group, Metric, metric
from odllm_controller.overrides import conf

QUALITY = "quality"
"""What people call a metric that depends on what the rows have."""

# A mean over tasks says what a model can do; perplexity only how surprised it is by a text.
_QUALITIES = ("accuracy", "perplexity")
# Of a share of about a hundred questions; of fewer it is chance which file comes out first.
_MOST_STANDARD_ERROR = 0.05


@dataclass(frozen=True, slots=True)
class Objective:
    """What is to be as good as possible.

    Attributes:
        name: What it was called.
        weights: The metrics, each with its weight.
        note: What must be known of it, or `""`.
    """

    name: str
    weights: tuple[tuple[Metric, float], ...]
    note: str = ""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics without their weights."""
        return tuple(each for each, _ in self.weights)

    @property
    def single(self) -> Metric | None:
        """The only metric, or `None` of a weighted one."""
        return self.weights[0][0] if len(self.weights) == 1 else None

    @property
    def title(self) -> str:
        """What it is, in words."""
        if self.single:
            return f"{self.single.label} ({self.single.better})"
        parts = ", ".join(f"{weight:g} x {each.label.lower()}" for each, weight in self.weights)
        return f"KPI {self.name}: {parts}"

    def shares(self) -> tuple[tuple[Metric, float], ...]:
        """The metrics with weights whose sum is 1."""
        total = sum(weight for _, weight in self.weights)
        return tuple((each, weight / total) for each, weight in self.weights)

    def goodness(self, rows: pd.DataFrame) -> Goodness:
        """How good rows are by it.

        The logarithm of a weighted geometric mean of ratios is the weighted mean of their
        logarithms, so a weighted objective is a weighted mean of goodnesses.

        Args:
            rows: With the columns of its metrics.
        """
        if self.single:
            return goodness(rows, self.single)
        shares = self.shares()
        parts = [goodness(rows, each, logarithmic=True) for each, _ in shares]
        weights = np.array([weight for _, weight in shares])
        middle = weights @ np.stack([part.middle for part in parts])
        sd = np.sqrt(weights**2 @ np.stack([part.sd for part in parts]) ** 2)
        return Goodness(np.where(np.isfinite(middle), middle, -np.inf), sd)


def parse(text: str, results: pd.DataFrame) -> Objective:
    """An objective by its name.

    Args:
        text: A metric's name; an alias such as `quality` or `speed`; `task:NAME`; the name of a
            file in `conf/kpi`; or the path of such a file.
        results: Rows as `results.load` gives them: what they have decides what quality is.

    Raises:
        UsageError: It is none, or no row has what it needs.
    """
    if text == QUALITY:
        return _quality(results)
    if text.endswith((".yaml", ".yml")):
        return _weighted(Path(text).stem, typed_path(text))
    if text in conf.options("kpi"):
        return _weighted(text, conf.option("kpi", text))
    try:
        return Objective(text, ((metric(text), 1.0),))
    except UsageError as error:
        raise UsageError(f"there is no objective {text!r}", nearest(text, names())) from error


def quality_metric(aim: Objective, results: pd.DataFrame) -> Metric:
    """What a limit of quality bounds: the objective, if it is a quality, or else what quality is.

    Args:
        aim: The objective.
        results: Rows as `results.load` gives them.

    Raises:
        UsageError: No row has a quality.
    """
    single = aim.single
    if single and single.group is Group.QUALITY:
        return single
    return parse(QUALITY, results).metrics[0]


def names() -> tuple[str, ...]:
    """All objectives that have a name of their own, tasks aside."""
    return (QUALITY, *ALIASES, *conf.options("kpi"), *(each.name for each in METRICS))


def _weighted(name: str, path: Path) -> Objective:
    return Objective(name, tuple(kpi.load(path).items()))


def _quality(results: pd.DataFrame) -> Objective:
    known = [name for name in _QUALITIES if results[name].notna().any()]
    if known == [*_QUALITIES] and not (results["accuracy_se"] <= _MOST_STANDARD_ERROR).any():
        known.remove("accuracy")
    if known:
        return Objective(QUALITY, ((metric(known[0]), 1.0),), _quality_note(known[0], results))
    reason = metric(_QUALITIES[-1]).why_missing(results)
    raise UsageError(
        f"no row has a quality: {reason}",
        "measure with quality=reference or quality=wikitext, or name another objective: speed",
    )


def _quality_note(name: str, results: pd.DataFrame) -> str:
    models = results.loc[results[name].notna(), "model"].nunique()
    if name == "accuracy":
        return "quality is the accuracy, a mean over tasks"
    asked = results["accuracy"].notna().any()
    why = "too few questions were asked for an accuracy" if asked else "no row has an accuracy"
    told = f"quality is the perplexity, since {why}"
    if models > 1:
        told += "; of different models it tells only where they share a tokenizer"
    return told
