"""Student's t: how far a mean, or a slope, may lie from what few values say of it."""

import math
import statistics
from collections.abc import Sequence

from odllm_agent.statistics.interval import CONFIDENCE


def quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors the ends of an interval lie away from its middle.

    Args:
        degrees: The degrees of freedom, 1 or more.
        confidence: How sure the interval is.
    """
    # Its import takes a fifth of a second, and a run that is only planned asks for none of it.
    from scipy.special import stdtrit  # noqa: PLC0415

    return float(stdtrit(degrees, (1 + confidence) / 2))


def chance(degrees: int, errors: float) -> float:
    """The chance of lying at least so many standard errors away where there is no effect."""
    from scipy.special import stdtr  # noqa: PLC0415 - as above

    return float(2 * stdtr(degrees, -abs(errors)))


def margin(values: Sequence[float]) -> float:
    """How far the ends of the 95 % interval of a mean lie from it.

    Args:
        values: Shape (n,), n of 2 or more.
    """
    return quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
