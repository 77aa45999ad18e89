"""Whether system metrics grow near-linearly with bits per weight.

Judged without F16, which carries most of any line that it is on. A line supports it if its slope is
surely not 0 and it explains at least nine tenths of the spread. It is contradicted if the line
explains less and the rest is surely no noise: a break is sure, or the values lie further from the
line than their own intervals allow (chi squared of n - 2 degrees of freedom; N. R. Draper and
H. Smith, Applied Regression Analysis, section 2.1). All lines are asked at once, so chances are
enlarged as S. Holm tells (A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian
Journal of Statistics 6, 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import CONFIDENCE
from odllm_controller.analysis.queries.subject import ModelSubject
from odllm_controller.analysis.scaling.breaks import chance_of_one
from odllm_controller.analysis.scaling.curves import (
    FITTED,
    PREFILL_TOKEN,
    Against,
    Curve,
    curves,
)
from odllm_controller.analysis.statistics.lines import Line, design, least_squares
from odllm_controller.analysis.statistics.standing import Standing

NEAR_R2 = 0.9
"""The share of the spread that a line must explain for growth to be near-linear."""

LEAST_TYPES = 5
"""The quantized types below which no line is judged."""

SYSTEM = tuple(
    metric
    for metric in FITTED
    if metric.name in {"tpot_s", PREFILL_TOKEN.name, "peak_rss_bytes", "decode_j_per_token"}
)
"""The system metrics that the claim is tested on: times, memory and energy."""

_SURE = 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Linearity(ModelSubject):
    """How near-linearly one metric of one model grows with bits per weight.

    Attributes:
        metric: The metric's name.
        n: The quantized types.
        r2: The share of the spread that the line explains; `None` of equal values.
        slope_p: The chance of such a slope where there is none, enlarged for all lines asked.
        bent_p: The chance of such a break where there is none, enlarged; `None` with too few types.
        scatter_p: The chance of values so far from a straight line by their own spread, enlarged;
            `None` where a value has no interval.
        standing: Whether it grows near-linearly.
    """

    metric: str
    n: int
    r2: float | None
    slope_p: float
    bent_p: float | None
    scatter_p: float | None
    standing: Standing


def linearities(results: pd.DataFrame) -> tuple[Linearity, ...]:
    """How near-linearly each system metric grows, where there are enough types to judge it.

    Args:
        results: Rows as `results.load` gives them.
    """
    quantized = (curve.quantized for curve in curves(results, SYSTEM, Against.BPW))
    judged = [curve for curve in quantized if curve.places >= LEAST_TYPES]
    lines = [least_squares(each.xs, each.ys, relative=each.relative) for each in judged]
    slopes = holm([line.slope_p for line in lines])
    bends = holm(list(map(chance_of_one, judged)))
    scatters = holm(list(map(_scatter, judged)))
    chances = zip(slopes, bends, scatters, strict=True)
    return tuple(
        _linearity(curve, line, *each)
        for curve, line, each in zip(judged, lines, chances, strict=True)
    )


def holm(chances: Sequence[float | None]) -> list[float | None]:
    """Chances of several tests, enlarged so that one of all is false as rarely as one alone.

    Args:
        chances: Of each test; `None` where there was none.
    """
    asked = sorted((p, place) for place, p in enumerate(chances) if p is not None)
    enlarged: list[float | None] = [None] * len(chances)
    least = 0.0
    for done, (p, place) in enumerate(asked):
        least = max(least, min(1.0, p * (len(asked) - done)))
        enlarged[place] = least
    return enlarged


def _linearity(
    curve: Curve, line: Line, slope: float | None, bend: float | None, scatter: float | None
) -> Linearity:
    sure = slope is not None and slope < _SURE
    near = line.r2 is not None and line.r2 >= NEAR_R2
    off = any(p is not None and p < _SURE for p in (bend, scatter))
    standing = Standing.UNDECIDED
    if sure and near:
        standing = Standing.SUPPORTED
    elif off and not near:
        standing = Standing.CONTRADICTED
    return Linearity(
        *curve.names,
        curve.metric.name,
        curve.n,
        line.r2,
        1.0 if slope is None else slope,
        bend,
        scatter,
        standing,
    )


def _scatter(curve: Curve) -> float | None:
    """The chance of values so far from any straight line by their own errors, if all are known."""
    from scipy.special import chdtrc  # noqa: PLC0415 - its import takes a fifth of a second

    errors = np.array([error for error in curve.errors if error])
    if len(errors) < curve.n:
        return None
    columns = design(np.array(curve.xs)) / errors[:, np.newaxis]
    values = np.array(curve.ys) / errors
    q, _ = np.linalg.qr(columns)
    return float(chdtrc(curve.n - 2, float(values @ values - np.sum((q.T @ values) ** 2))))
