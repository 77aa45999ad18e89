"""Whether a metric grows along one straight line, or along two that meet at a break.

The break is where the sum of squares is least. Its interval holds every place whose sum the F test
of place and change of slope together does not tell from the least (G. A. F. Seber and C. J. Wild,
Nonlinear Regression, section 5.3; J. D. Toms and M. L. Lesperance, Piecewise regression, Ecology
84, 2003, for the model). The test of the place alone holds the truth in only 90 of 100 cases where
there are eight types.

Whether there is a break at all cannot be told by a plain F test, since its place was chosen to fit.
Between two neighbouring types, though, a break anywhere leaves no more than the two free lines
that part there, and for these the F test is exact. The least of their chances, times the number of
gaps where lines can part, is at least the chance of such a break where there is none (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import CONFIDENCE, Floats
from odllm_controller.analysis.queries.subject import ModelSubject
from odllm_controller.analysis.scaling.curves import (
    FITTED,
    Against,
    Curve,
    curves,
    selections,
)
from odllm_controller.analysis.statistics.lines import design, weights_of
from odllm_controller.metrics import Metric

_PLACES = 200
_UNKNOWNS = 4
# Two lines take four unknowns; one point more would be judged by a single degree of freedom.
_LEAST_PLACES = _UNKNOWNS + 2
# A sum of squares that is no more than the rounding of the values.
_ROUNDING = 1e-24
_SURE = 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Break(ModelSubject):
    """The two lines that meet, of one metric of one model on one device, and whether they do.

    Attributes:
        metric: The metric's name.
        against: What it is set against: `file_bpw` or `file_bytes`.
        types: Which types it rests on: `ALL_TYPES`, or `QUANTIZED_TYPES`.
        n: The types that were measured.
        at: Where the lines meet best, in the unit of `against`; `None` with too few types.
        low: The lower end of the place's 95 % interval.
        high: The upper end.
        slope_below: The slope below it, in the metric's unit per unit of `against`.
        slope_above: The slope above it.
        p: The chance, at most, of lines that meet as well as these where there is one line.
        reason: Why there is none of this, or `""`.
    """

    metric: str
    against: str
    types: str
    n: int
    at: float | None = None
    low: float | None = None
    high: float | None = None
    slope_below: float | None = None
    slope_above: float | None = None
    p: float | None = None
    reason: str = ""

    @property
    def is_sure(self) -> bool:
        """Whether the data prefer a break to one straight line."""
        return self.p is not None and self.p < _SURE


def breaks(
    results: pd.DataFrame, metrics: Sequence[Metric] = FITTED, against: Against = Against.BPW
) -> tuple[Break, ...]:
    """The breaks of everything that was measured, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
        metrics: What to fit, of `FITTED`.
        against: What to fit it against.
    """
    return tuple(
        _break(selected, types)
        for curve in curves(results, metrics, against)
        for types, selected in selections(curve)
    )


def chance_of_one(curve: Curve) -> float | None:
    """The chance, at most, of a break as clear as the clearest where there is one line.

    Returns:
        `None` with too few types.
    """
    if curve.places < _LEAST_PLACES:
        return None
    ys = np.array(curve.ys)
    return _chance(np.array(curve.xs), ys, weights_of(ys, relative=curve.relative))


def _break(curve: Curve, types: str) -> Break:
    bare = Break(*curve.names, curve.metric.name, curve.against, types, curve.n)
    if curve.places < _LEAST_PLACES:
        needed = f"a break needs {_LEAST_PLACES} types apart"
        return replace(bare, reason=f"{needed}, and there are {curve.places}")
    return _found(bare, curve)


def _found(bare: Break, curve: Curve) -> Break:
    from scipy.special import fdtri  # noqa: PLC0415 - its import takes a fifth of a second

    xs, ys = np.array(curve.xs), np.array(curve.ys)
    weights = weights_of(ys, relative=curve.relative)
    # The first and the last two types hold the lines' ends.
    inner = np.unique(xs)[1:-1]
    places = np.union1d(np.linspace(inner[0], inner[-1], _PLACES), inner)
    line = np.broadcast_to(design(xs), (len(places), len(xs), 2))
    bent = np.maximum(0, xs - places[:, np.newaxis])
    meeting = np.concatenate([line, bent[..., np.newaxis]], axis=2)
    left = _left(meeting, ys, weights)
    best = int(left.argmin())
    degrees = curve.n - _UNKNOWNS
    as_good = np.flatnonzero(left <= left[best] * (1 + 2 * fdtri(2, degrees, CONFIDENCE) / degrees))
    weighted = meeting[best] * weights[:, np.newaxis]
    (_, below, more), *_ = np.linalg.lstsq(weighted, weights * ys, rcond=None)
    return replace(
        bare,
        at=float(places[best]),
        low=float(places[max(0, as_good[0] - 1)]),
        high=float(places[min(len(places) - 1, as_good[-1] + 1)]),
        slope_below=float(below),
        slope_above=float(below + more),
        p=_chance(xs, ys, weights),
    )


def _chance(xs: Floats, ys: Floats, weights: Floats) -> float:
    """The chance, at most, of a break as clear as the clearest where there is none."""
    from scipy.special import fdtrc  # noqa: PLC0415 - as above

    # A line needs two types on its side of the gap.
    gaps = np.unique(xs)[2:-1]
    beside = xs >= gaps[:, np.newaxis]
    line = np.broadcast_to(design(xs), (len(gaps), len(xs), 2))
    parted = np.concatenate([line, line * beside[..., np.newaxis]], axis=2)
    least = float(_left(parted, ys, weights).min())
    whole = float(_left(line[:1], ys, weights)[0])
    degrees = len(xs) - _UNKNOWNS
    if whole <= _ROUNDING * len(xs):
        return 1.0
    f = (whole - least) / 2 / max(least / degrees, _ROUNDING)
    return min(1.0, len(gaps) * float(fdtrc(2, degrees, f)))


def _left(designs: Floats, ys: Floats, weights: Floats) -> Floats:
    """The least sums of squares of designs of shape (m, n, k), scaled to the values: shape (m,)."""
    q, _ = np.linalg.qr(designs * weights[:, np.newaxis])
    scaled = weights * ys
    met = np.einsum("mnk,mk->mn", q, np.einsum("mnk,n->mk", q, scaled))
    sums: Floats = ((scaled - met) ** 2).sum(axis=1) / (scaled @ scaled)
    return sums
