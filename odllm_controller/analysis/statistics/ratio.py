"""The ratio of two medians, with its 95 % interval, paired by round where that is possible.

A device that is slow in one round is slow for whatever it measures in it. Two trials that were
measured in the same rounds are therefore drawn by the same rounds, so that what they share cancels.
"""

import statistics
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from odllm_agent.statistics.interval import (
    LEAST_ROUNDS,
    Floats,
    Interval,
    Rounds,
    drawn_medians,
    drawn_rounds,
    generator,
    margin,
    why_none,
)

Pass: TypeAlias = tuple[str, int]
"""A run and the number of a round in it: one pass over a device's trials."""

Measured: TypeAlias = Mapping[Pass, tuple[float, ...]]
"""Positive values by pass."""


def ratio(of: Measured, against: Measured, seed: str) -> Interval:
    """How many times as large one median is as another.

    Args:
        of: What is compared.
        against: What it is compared with. Where both were measured in two passes or more, only
            those count, and they are paired; elsewhere each side is drawn by itself, and the
            side with fewer rounds decides how sure the ratio is.
        seed: What the draws are made from.
    """
    shared = sorted(of.keys() & against.keys())
    paired = len(shared) >= LEAST_ROUNDS
    above = [of[each] for each in shared] if paired else list(of.values())
    below = [against[each] for each in shared] if paired else list(against.values())
    middle = _median(above) / _median(below)
    reason = why_none(above) or why_none(below)
    if reason:
        return Interval(middle, reason=reason)
    away = margin(_draws(above, below, paired, seed), min(len(above), len(below)))
    return Interval(middle, float(middle * np.exp(-away)), float(middle * np.exp(away)))


def _draws(above: Rounds, below: Rounds, paired: bool, seed: str) -> Floats:
    """The logarithm of the ratio of each draw."""
    chance = generator(seed)
    drawn = drawn_rounds(len(above), chance)
    medians = drawn_medians(above, drawn, chance)
    other = drawn if paired else drawn_rounds(len(below), chance)
    logs: Floats = np.log(medians) - np.log(drawn_medians(below, other, chance))
    return logs


def _median(rounds: Iterable[Iterable[float]]) -> float:
    return statistics.median([value for values in rounds for value in values])
