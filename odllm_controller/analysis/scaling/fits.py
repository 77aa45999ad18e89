"""How metrics grow with bits per weight, or with bytes: a straight line, and how well it fits.

F16 lies so far from all other types that it carries most of any line; so every line is worked out
without it too. Lines are those of `analysis.lines`: of relative errors, but for scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from odllm_controller.analysis.queries.subject import ModelSubject
from odllm_controller.analysis.scaling.curves import (
    FITTED,
    Against,
    Curve,
    curves,
    selections,
)
from odllm_controller.analysis.statistics.lines import least_squares
from odllm_controller.metrics import Metric

_LEAST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Fit(ModelSubject):
    """The line of one metric of one model on one device and engine, for one workload.

    Attributes:
        metric: The metric's name.
        against: What it is set against: `file_bpw` or `file_bytes`.
        types: Which types it rests on: `ALL_TYPES`, or `QUANTIZED_TYPES`.
        n: The types that were measured.
        slope: What one more bit per weight, or byte, adds to the metric, in its column's unit;
            `None` where there is no line.
        slope_low: The lower end of its 95 % interval.
        slope_high: The upper end.
        intercept: What the metric is at no bits, or `None`.
        r2: The share of the spread that the line explains, from 0 to 1; `None` where there is no
            line, or where all values are equal.
        reason: Why there is no line, or `""`.
    """

    metric: str
    against: str
    types: str
    n: int
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    intercept: float | None = None
    r2: float | None = None
    reason: str = ""


def fits(
    results: pd.DataFrame, metrics: Sequence[Metric] = FITTED, against: Against = Against.BPW
) -> tuple[Fit, ...]:
    """The lines of everything that was measured, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
        metrics: What to fit, of `FITTED`; what has no values is left out.
        against: What to fit it against.
    """
    return tuple(
        _fit(selected, types)
        for curve in curves(results, metrics, against)
        for types, selected in selections(curve)
    )


def why_no_line(curve: Curve) -> str:
    """Why no line can be fitted to a curve, or `""`."""
    if curve.places >= _LEAST_PLACES:
        return ""
    what = "BPW" if curve.against is Against.BPW else "size"
    needed = f"a line needs {_LEAST_PLACES} types of different {what}"
    return f"{needed}, and there are {curve.places}"


def _fit(curve: Curve, types: str) -> Fit:
    bare = Fit(*curve.names, curve.metric.name, curve.against, types, curve.n)
    if reason := why_no_line(curve):
        return replace(bare, reason=reason)
    line = least_squares(curve.xs, curve.ys, relative=curve.relative)
    low, high = line.slope_ends()
    return replace(
        bare,
        slope=line.slope,
        slope_low=low,
        slope_high=high,
        intercept=line.intercept,
        r2=line.r2,
    )
