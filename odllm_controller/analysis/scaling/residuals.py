"""How far families of weight types lie from the line through all types.

K-quants and legacy types of the same bits run through different kernels; where one family lies
above the line and the other below it, bits alone do not tell what a type costs. The mean residual
of a family has the interval of Student's t. That the line was drawn through the same points makes
it a little too wide, never too narrow. F16 is left out: it would bend the line its own way.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from odllm_controller.analysis.matching.families import TypeFamily, family
from odllm_controller.analysis.queries.subject import ModelSubject
from odllm_controller.analysis.scaling.curves import FITTED, Against, Curve, curves
from odllm_controller.analysis.scaling.fits import why_no_line
from odllm_controller.analysis.statistics import student
from odllm_controller.analysis.statistics.lines import least_squares
from odllm_controller.metrics import Metric

_LEAST_TYPES = 2


@dataclass(frozen=True, slots=True)
class Residual(ModelSubject):
    """How far one family lies from the line of one model's quantized types.

    Attributes:
        metric: The metric's name.
        against: What it is set against.
        family: Which types.
        n: How many.
        mean: The mean of value less line, in the unit of the metric's column; of metrics whose
            errors grow with them (`relative`) as a fraction of the value; `None` without a line.
        low: The lower end of its 95 % interval; `None` for a single type.
        high: The upper end.
        relative: Whether it is a fraction.
        reason: Why there is no mean or no interval, or `""`.
    """

    metric: str
    against: str
    family: TypeFamily
    n: int
    relative: bool
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def is_sure(self) -> bool:
        """Whether the interval excludes 0: the family is off the line, and not by chance."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def residuals(
    results: pd.DataFrame, metrics: Sequence[Metric] = FITTED, against: Against = Against.BPW
) -> tuple[Residual, ...]:
    """The residuals of everything that was measured, by family, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
        metrics: What to fit, of `FITTED`.
        against: What to fit it against.
    """
    return tuple(
        residual
        for curve in curves(results, metrics, against)
        if curve.quantized.n
        for residual in _of_curve(curve.quantized)
    )


def _of_curve(curve: Curve) -> Iterator[Residual]:
    families = [family(each) for each in curve.types]
    reason = why_no_line(curve)
    left = [] if reason else _left(curve)
    for each in dict.fromkeys(families):
        bare = Residual(
            *curve.names,
            curve.metric.name,
            curve.against,
            each,
            families.count(each),
            curve.relative,
            reason=reason,
        )
        of_family = [value for value, its in zip(left, families, strict=False) if its is each]
        yield _meant(bare, of_family) if left else bare


def _left(curve: Curve) -> list[float]:
    """What the line leaves of each value."""
    line = least_squares(curve.xs, curve.ys, relative=curve.relative)
    ys = np.array(curve.ys)
    left = ys - line.at(np.array(curve.xs))
    values: list[float] = (left / ys if curve.relative else left).tolist()
    return values


def _meant(bare: Residual, left: Sequence[float]) -> Residual:
    mean = statistics.fmean(left)
    if len(left) < _LEAST_TYPES:
        return replace(bare, mean=mean, reason="an interval needs 2 types, and there is 1")
    margin = student.margin(left)
    return replace(bare, mean=mean, low=mean - margin, high=mean + margin)
