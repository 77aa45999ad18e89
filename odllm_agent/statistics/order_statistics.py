"""The 95 % interval of a median, without assuming how the values are distributed."""

import math
from collections.abc import Sequence
from functools import cache

CONFIDENCE = 0.95


@cache
def median_ranks(n: int) -> tuple[int, int] | None:
    """Which two of n sorted values enclose the median with 95 % confidence.

    The number of values below the true median is binomial with probability one half, so the
    interval between the k-th smallest and the k-th largest value misses the median with
    probability 2 * P(B(n, 1/2) < k) (J.-Y. Le Boudec, Performance Evaluation, theorem 2.1).

    Args:
        n: The number of values.

    Returns:
        The ranks from 1 of the lower and the upper end, or `None` below six values, which
        enclose the median with less than 95 %.
    """
    allowed = (1 - CONFIDENCE) / 2 * 2**n
    below = 0
    k = 0
    while (below := below + math.comb(n, k)) <= allowed:
        k += 1
    return (k, n + 1 - k) if k else None


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the median of independent values.

    Args:
        values: In any order, shape (n,).

    Returns:
        The lower and the upper end, or `None` below six values.
    """
    ranks = median_ranks(len(values))
    if ranks is None:
        return None
    ordered = sorted(values)
    return ordered[ranks[0] - 1], ordered[ranks[1] - 1]
