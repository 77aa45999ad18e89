"""What a limit costs: how far it alone must be relaxed for a better answer."""

from dataclasses import dataclass, replace

import numpy as np

from odllm_controller.analysis.advice.candidates import Candidates
from odllm_controller.analysis.advice.choice import Choice, Teller
from odllm_controller.metrics import Better


@dataclass(frozen=True, slots=True)
class Relaxed:
    """What a limit would have to be for another answer.

    Attributes:
        bound: The bound that would do, in the unit of the metric's column.
        factor: How many times as large as the limit it is; `None` of a limit of 0.
        choice: What would then be the answer.
        gain: How many times as good by the objective that is, or `None` where nothing meets the
            limits as they are, or where no ratio can be told.
    """

    bound: float
    factor: float | None
    choice: Choice
    gain: float | None


@dataclass(frozen=True, slots=True)
class LimitCost:
    """What one limit costs.

    Attributes:
        limit: The limit, in words.
        metric: The metric's name.
        nearest: The least that it would have to be relaxed for a better answer, if it alone were;
            `None` if no relaxing of it alone gives one.
        best: The best answer if it alone fell away; `None` likewise.
    """

    limit: str
    metric: str
    nearest: Relaxed | None = None
    best: Relaxed | None = None


def cost(tell: Teller, limit: int) -> LimitCost:
    """What one limit costs: what would be better if it alone were relaxed.

    Args:
        tell: The candidates.
        limit: The place of the limit.
    """
    asked = tell.asked
    better = np.flatnonzero(asked.meets_all_but(limit) & asked.beats_first)
    bare = LimitCost(str(asked.limits[limit]), asked.limits[limit].metric.name)
    if not better.size:
        return bare
    nearest = better[asked.margins[limit, better].argmax()]
    return replace(
        bare,
        nearest=_relaxed(tell, limit, int(nearest)),
        best=_relaxed(tell, limit, int(better[0])),
    )


def _relaxed(tell: Teller, limit: int, place: int) -> Relaxed:
    asked = tell.asked
    set_to = asked.limits[limit]
    bound = set_to.relaxed_to(float(asked.rows[set_to.metric.name].iloc[place]))
    choice = tell.choice(place)
    return Relaxed(
        bound=bound,
        factor=bound / set_to.bound if set_to.bound else None,
        choice=choice,
        gain=_gain(asked, place),
    )


def _gain(asked: Candidates, place: int) -> float | None:
    """How many times as good a candidate is as the answer."""
    if not asked.meets.any():
        return None
    first, other = asked.merit(asked.first), asked.merit(place)
    if min(first, other) <= 0:
        return None
    single = asked.objective.single
    return first / other if single and single.better is Better.LOWER else other / first
