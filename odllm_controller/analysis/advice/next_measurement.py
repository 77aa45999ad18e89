"""What to measure next: the one figure whose own uncertainty most often changes an answer.

Each figure is let vary alone while all others stay as they were found. The answer changes if
the first choice falls behind the next one or outside of a limit, or if another configuration meets
the limits and overtakes it: how likely that is follows from the figure's own normal distribution.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from odllm_agent.statistics.interval import Floats
from odllm_controller.analysis.advice.candidates import Candidates, Flags
from odllm_controller.analysis.advice.goodness import goodness
from odllm_controller.metrics import Basis, Metric

# A change less likely than this is not worth a measurement.
_MATTERS = 0.01


@dataclass(frozen=True, slots=True)
class Turning:
    """A figure that may change an answer.

    Attributes:
        trial_id: The trial that has it.
        run: The run that measured the trial last.
        model: The model's name.
        quantization: The type of its weights.
        configuration: The engine with its settings.
        engine: The engine.
        threads: Its threads, or `None` where they are not told.
        workload: The workload's name.
        rounds: The rounds that were measured.
        metric: The metric's name.
        chance: The probability that the answer is another one once it is known; `None` where the
            figure has no interval, so that none can be told.
    """

    trial_id: str
    run: str
    model: str
    quantization: str
    configuration: str
    engine: str
    threads: int | None
    workload: str
    rounds: int
    metric: str
    chance: float | None


def turning(asked: Candidates) -> Turning | None:
    """The figure that most often changes the answer, or `None` if hardly any ever would.

    Args:
        asked: Candidates of which one at least meets the limits.
    """
    metrics = asked.metrics
    chances = np.stack([_chances(asked, each) for each in metrics])
    at, place = np.unravel_index(chances.argmax(), chances.shape)
    chance = float(chances[at, place])
    if chance >= _MATTERS:
        return _told(asked, metrics[at], int(place), chance)
    first = asked.first
    bare = (each for each in metrics if pd.isna(asked.rows.iloc[first].get(each.low)))
    unsure = next((each for each in bare if each.basis is Basis.REPEATS), None)
    return _told(asked, unsure, first, None) if unsure else None


def _told(asked: Candidates, metric: Metric, place: int, chance: float | None) -> Turning:
    row = asked.rows.iloc[place]
    return Turning(
        trial_id=row["trial_id"],
        run=row["run"],
        model=row["model"],
        quantization=row["quantization"],
        configuration=row["configuration"],
        engine=row["engine"],
        threads=None if pd.isna(row["threads"]) else int(row["threads"]),
        workload=row["workload"],
        rounds=int(row["rounds"]),
        metric=metric.name,
        chance=chance,
    )


def _chances(asked: Candidates, metric: Metric) -> Floats:
    """The probability that each row's figure of one metric, varied alone, changes the answer.

    All thresholds are counted in standard deviations of the figure, from where it was found.
    """
    first, aims = asked.first, asked.aim.middle
    of_metric = np.array([limit.metric == metric for limit in asked.limits], dtype=bool)
    inside = _thresholds(-asked.margins[of_metric], asked.spreads[of_metric]).max(
        axis=0, initial=-np.inf
    )
    moved = _share_of_aim(asked, metric)
    ahead = _thresholds(aims[first] - aims, moved)
    others_met = (asked.margins[~of_metric] >= 0).all(axis=0)
    chances = np.where(others_met, ndtr(-np.maximum(inside, ahead)), 0.0)
    apart = ~asked.sharing(first, metric)
    chances[~apart] = 0.0
    chances[first] = ndtr(max(inside[first], _behind(asked, apart, moved[first])))
    return np.where(goodness(asked.rows, metric).sd > 0, chances, 0.0)


def _behind(asked: Candidates, apart: Flags, moved: float) -> float:
    """Below which deviation of a figure of the first another one is better than it."""
    others = asked.aim.middle[asked.meets & apart]
    if not moved or not others.size:
        return -math.inf
    return float((others.max() - asked.aim.middle[asked.first]) / moved)


def _thresholds(needed: Floats, sd: Floats) -> Floats:
    """How many standard deviations are needed; no number is enough for what does not move."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moving = needed / sd
    return np.where(sd > 0, moving, np.where(needed < 0, -np.inf, np.inf))


def _share_of_aim(asked: Candidates, metric: Metric) -> Floats:
    """The standard deviation of each row's merit that comes from one metric."""
    weights = dict(asked.objective.shares())
    logarithmic = None if asked.objective.single else True
    found = goodness(asked.rows, metric, logarithmic=logarithmic)
    return weights.get(metric, 0.0) * found.sd
