"""Down to how many bits per weight a larger model beats a smaller one in the same room.

As bits are taken from the larger model its advantage turns over, if ever, from above 0 to below:
the crossing. It lies between the two neighbouring types that divide the advantages best, so that
those below it sum up as far below 0 as can be: there, the monotone curve with the least squared
distance from all points changes its sign (T. Robertson, F. T. Wright and R. L. Dykstra, Order
Restricted Inference, 1988, section 1.4).

How sure that is tells a bootstrap over the errors of the scores and over the types, which count
with random weights (D. B. Rubin, The Bayesian Bootstrap, Annals of Statistics 9, 1981); so no type
that holds an end is ever lost. Between two types nothing was measured: the interval reaches
from the type below the crossing to that above it, never into a gap. Where no type lies below it
(above it), the interval is open at that side. Where a type lies surely on the wrong side of it, the
advantage does not turn over once, and there is no threshold to tell.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import Floats, Indices, generator
from odllm_controller.analysis.claims.pairwise import Budget, Duel, Pair, duels
from odllm_controller.analysis.statistics.standing import Standing

CLAIMED_BPW = 3.5
"""Where the paper has the threshold."""

AROUND_BPW = (3.0, 4.0)
"""What counts as around it: half a bit to either side, about a step between types."""

_LEAST_TYPES = 2
_QUANTILES = (0.025, 0.975)
_ROOM = {Budget.BYTES: "bytes", Budget.MEMORY: "memory"}


@dataclass(frozen=True, slots=True)
class Threshold(Pair):
    """Where a larger model's advantage over a smaller one ends.

    Attributes:
        n: The larger one's types that were compared.
        lowest_bpw: The least bits per weight among them, or `None`.
        highest_bpw: The most, or `None`.
        at_bpw: The crossing, by a straight line between its neighbours; `None` where all types lie
            on one side of it.
        low_bpw: The lower end of its 95 % interval; `None` where it may lie below all types.
        high_bpw: The upper end; `None` where it may lie above all types.
        spread: Whether every score has a standard error; one without is taken as known.
        standing: Whether the threshold lies around the paper's.
        reason: Why there is none of this, or `""`.
    """

    n: int
    lowest_bpw: float | None = None
    highest_bpw: float | None = None
    at_bpw: float | None = None
    low_bpw: float | None = None
    high_bpw: float | None = None
    spread: bool = False
    standing: Standing = Standing.UNDECIDED
    reason: str = ""

    @property
    def statement(self) -> str:
        """What the data say, in a sentence without its full stop."""
        where = f"at equal {self.room} ({self.configuration})"
        who = f"{self.larger} against {self.smaller} {where}, by {self.quality}"
        known = "" if self.spread or self.reason else ", taking the scores as known"
        return f"{who}: {self.reason or self._found}{known}"

    @property
    def room(self) -> str:
        """What both have as much of."""
        return _ROOM[self.cost]

    @property
    def is_better_above(self) -> bool:
        """Whether the larger model is surely better from around the paper's threshold on."""
        return self.high_bpw is not None and self.high_bpw <= AROUND_BPW[1]

    @property
    def _found(self) -> str:
        low, high = self.low_bpw, self.high_bpw
        if low is not None and high is not None:
            at = "" if self.at_bpw is None else f"at {self.at_bpw:.2f} BPW, "
            return f"better down to a threshold {at}95 % interval {low:.2f} to {high:.2f}"
        if high is not None:
            lowest = ", the fewest compared" if high == self.lowest_bpw else ""
            return f"better down to at least {high:.2f} BPW{lowest}"
        if low is not None:
            return f"not better up to {low:.2f} BPW at least"
        return f"no difference is sure between {self.lowest_bpw:.2f} and {self.highest_bpw:.2f} BPW"


def thresholds(results: pd.DataFrame) -> tuple[Threshold, ...]:
    """The threshold of every two sizes of a family that were measured alike.

    Args:
        results: Rows as `results.load` gives them.
    """
    return tuple(map(threshold, duels(results)))


def threshold(duel: Duel) -> Threshold:
    """The threshold of one duel."""
    pair, n = asdict(duel.pair), len(duel.types)
    if n < _LEAST_TYPES:
        needed = f"a threshold needs {_LEAST_TYPES} types in the room of both models"
        return Threshold(**pair, n=n, reason=f"{needed}, and there {'is 1' if n else 'are none'}")
    compared = Threshold(
        **pair,
        n=n,
        lowest_bpw=float(duel.bpw[0]),
        highest_bpw=float(duel.bpw[-1]),
        spread=duel.spread,
    )
    low, high = _interval(duel)
    if reason := _why_no_crossing(duel, low, high):
        return replace(compared, reason=reason)
    standing = _standing(low, high)
    return replace(compared, at_bpw=_crossing(duel), low_bpw=low, high_bpw=high, standing=standing)


def _why_no_crossing(duel: Duel, low: float | None, high: float | None) -> str:
    """Which types are surely on the wrong side of the crossing, or `""`."""
    least, most = duel.ends
    worse = (most < 0) & (duel.bpw >= (np.inf if high is None else high))
    better = (least > 0) & (duel.bpw <= (-np.inf if low is None else low))
    wrong = [kind for kind, its in zip(duel.types, worse | better, strict=True) if its]
    return f"no single threshold fits: {', '.join(wrong)} lies on the wrong side" if wrong else ""


def _crossing(duel: Duel) -> float | None:
    """Where a line between the types beside it meets 0; `None` if all types are on one side."""
    (above,) = _cuts(duel.advantage[np.newaxis], np.ones((1, len(duel.types))))
    if above in (0, len(duel.types)):
        return None
    beside = slice(above - 1, above + 1)
    return float(np.interp(0, duel.advantage[beside], duel.bpw[beside]))


def _interval(duel: Duel) -> tuple[float | None, float | None]:
    """The ends of the crossing's interval, each `None` if it is open."""
    weights = generator(f"{duel.pair.seed}/types").dirichlet(
        np.ones(len(duel.types)), len(duel.draws)
    )
    above = _cuts(duel.draws, weights)
    below_it = np.concatenate([[-np.inf], duel.bpw])[above]
    above_it = np.concatenate([duel.bpw, [np.inf]])[above]
    # Not interpolated: between two types, or a type and the open, there is nothing.
    low, high = (
        float(np.quantile(ends, quantile, method="inverted_cdf"))
        for ends, quantile in zip((below_it, above_it), _QUANTILES, strict=True)
    )
    return low if np.isfinite(low) else None, high if np.isfinite(high) else None


def _cuts(advantages: Floats, weights: Floats) -> Indices:
    """How many types lie below the crossing, of advantages of shape (m, n): shape (m,)."""
    below = np.cumsum(weights * advantages, axis=1)
    # The sum of those below is least where it stops falling.
    cuts: Indices = np.argmin(np.column_stack([np.zeros(len(below)), below]), axis=1)
    return cuts


def _standing(low: float | None, high: float | None) -> Standing:
    least, most = AROUND_BPW
    if (high is not None and high < least) or (low is not None and low > most):
        return Standing.CONTRADICTED
    bounded = low is not None and high is not None and low >= least and high <= most
    return Standing.SUPPORTED if bounded else Standing.UNDECIDED
