"""How good rows are by a metric: a figure that is larger where the row is better, and its spread.

Positive figures lie on a scale of their logarithms, as their intervals do; scores, and figures that
may be negative, on their own. There each figure is taken for a normal distribution whose 95 %
interval is the one that was measured. A figure without an interval is taken as known.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from odllm_agent.statistics.interval import Floats
from odllm_controller.analysis.queries.results import Z_95
from odllm_controller.metrics import Basis, Better, Metric


@dataclass(frozen=True, slots=True, eq=False)
class Goodness:
    """How good n rows are by one metric, or by a weighted mean of several.

    Attributes:
        middle: Larger is better, shape (n,); NaN where the row has no figure.
        sd: The standard deviation, shape (n,); 0 where the figure is taken as known.
    """

    middle: Floats
    sd: Floats

    def above(self, bound: float) -> Floats:
        """The probability that each row is at least as good as something known, shape (n,)."""
        return probability(self.middle - bound, self.sd)


def goodness(rows: pd.DataFrame, metric: Metric, *, logarithmic: bool | None = None) -> Goodness:
    """How good rows are by a metric.

    Args:
        rows: With the metric's column, and `_low` and `_high` where it has them.
        metric: What to judge by.
        logarithmic: Which scale to take; unless told, the one that the metric has.
    """
    values = _column(rows, metric.name)
    low, high = _column(rows, metric.low), _column(rows, metric.high)
    sign = 1.0 if metric.better is Better.HIGHER else -1.0
    if is_logarithmic(rows, metric) if logarithmic is None else logarithmic:
        return Goodness(sign * _log(values), _log_sd(values, low, high))
    return Goodness(sign * values, np.nan_to_num((high - low) / (2 * Z_95)))


def is_logarithmic(rows: pd.DataFrame, metric: Metric) -> bool:
    """Whether a metric of some rows lies on a scale of logarithms."""
    return metric.basis is not Basis.CHECK and not (_column(rows, metric.name) <= 0).any()


def bound_on_scale(bound: float, metric: Metric, *, logarithmic: bool) -> float:
    """How good a figure is that has no row, such as a limit."""
    sign = 1.0 if metric.better is Better.HIGHER else -1.0
    return sign * float(_log(np.array(bound)) if logarithmic else bound)


def probability(ahead: Floats, sd: Floats) -> Floats:
    """The probability that something is at least 0, given its middle and standard deviation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        uncertain: Floats = ndtr(ahead / sd)
    return np.where(sd > 0, uncertain, ahead >= 0).astype(np.float64)


def _column(rows: pd.DataFrame, name: str) -> Floats:
    if name not in rows:
        return np.full(len(rows), np.nan)
    return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _log(values: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: Floats = np.log(values)
    return logs


def _log_sd(values: Floats, low: Floats, high: Floats) -> Floats:
    """Of logarithms; where the interval reaches 0, from its width relative to the figure."""
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(values > 0, (high - low) / values, 0.0)
        wide = np.where(low > 0, _log(high) - _log(low), relative)
    return np.nan_to_num(wide / (2 * Z_95))
