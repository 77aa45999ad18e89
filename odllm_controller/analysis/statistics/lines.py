"""Straight lines through points, and how sure their slope is.

By least squares; the interval of the slope is that of Student's t with n - 2 degrees of freedom
(N. R. Draper and H. Smith, Applied Regression Analysis, section 1.4). Where errors grow with the
values, as those of times do, plain least squares lets the largest values decide and its interval
misses the true slope in one case of four; squares of relative errors are what such points take.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odllm_agent.statistics.interval import CONFIDENCE, Floats
from odllm_controller.analysis.statistics import student

# Values whose squares differ by less, relatively, are equal.
_EQUAL = 1e-20


@dataclass(frozen=True, slots=True)
class Line:
    """A line by least squares.

    Attributes:
        n: The points that it goes through.
        slope: Its slope.
        intercept: Its value at 0.
        slope_se: The standard error of its slope; 0 where it meets every point.
        r2: The share of the points' spread that it explains, from 0 to 1; `None` of equal values.
    """

    n: int
    slope: float
    intercept: float
    slope_se: float
    r2: float | None

    def slope_ends(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The interval of the slope."""
        margin = student.quantile(self.n - 2, confidence) * self.slope_se
        return self.slope - margin, self.slope + margin

    @property
    def slope_p(self) -> float:
        """The chance of a slope as far from 0 where there is none."""
        if not self.slope_se:
            return 0.0 if self.slope else 1.0
        return student.chance(self.n - 2, self.slope / self.slope_se)

    def at(self, xs: Floats) -> Floats:
        """Its values, of the shape of `xs`."""
        return self.intercept + self.slope * xs


def least_squares(xs: Sequence[float], ys: Sequence[float], *, relative: bool = False) -> Line:
    """The line with the least squared distance from points.

    Args:
        xs: Shape (n,), n of 3 or more, not all equal.
        ys: Shape (n,).
        relative: Whether distances count as fractions of `ys`, which are then all above 0.
    """
    x, y = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    weights = weights_of(y, relative=relative)
    scaled = weights * y
    mean = float(np.average(y, weights=weights**2))
    total = float(np.sum((weights * (y - mean)) ** 2))
    if total <= _EQUAL * float(scaled @ scaled):
        return Line(len(x), 0.0, mean, 0.0, None)
    q, r = np.linalg.qr(design(x) * weights[:, np.newaxis])
    intercept, slope = np.linalg.solve(r, q.T @ scaled)
    left = float(np.sum((scaled - weights * (intercept + slope * x)) ** 2))
    slope_se = math.sqrt(left / (len(x) - 2)) / abs(float(r[1, 1]))
    return Line(len(x), float(slope), float(intercept), slope_se, max(0.0, 1 - left / total))


def weights_of(ys: Floats, *, relative: bool) -> Floats:
    """What each distance is multiplied with before it is squared, shape (n,)."""
    return 1 / ys if relative else np.ones_like(ys)


def design(xs: Floats) -> Floats:
    """The columns of a line, shape (n, 2)."""
    return np.stack([np.ones_like(xs), xs], axis=1)
