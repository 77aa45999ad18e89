"""Rows whose figures follow from a formula with known slope, break and threshold, and noise.

They are in the columns of `results.load`; `result_frames.frame` makes a table of them.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests import support

BPW: Mapping[str, float] = support.BPW
"""F16 and the seven types, the file's bits per weight."""

MANY: Mapping[str, float] = {
    **BPW,
    "Q6_K": 6.6,
    "Q5_1": 6.0,
    "Q4_1": 5.0,
    "Q4_K_S": 4.6,
    "Q3_K_L": 4.3,
    "Q3_K_S": 3.6,
    "Q2_K_S": 2.8,
}
"""More types, which place a break or a threshold more narrowly."""

Row = dict[str, object]
Chance = np.random.Generator
_Z_95 = 1.96


def types(
    figures: Callable[[float], Row],
    bpw: Mapping[str, float] = BPW,
    n_weights: float = 1e9,
    **changes: object,
) -> list[Row]:
    """A row per type of one model.

    Args:
        figures: What was measured at so many bits per weight.
        bpw: The types.
        n_weights: The model's size.
        changes: What else is told of each row.
    """
    return [
        {
            "quantization": kind,
            "file_bpw": bits,
            "file_bytes": n_weights * bits / 8,
            "n_weights": n_weights,
            **changes,
            **figures(bits),
        }
        for kind, bits in bpw.items()
    ]


def noisy(name: str, value: float, noise: float, chance: Chance) -> Row:
    """A positive figure that is off by a normal share of it, and the interval that this gives.

    Args:
        name: The metric's name.
        value: Its true value.
        noise: The standard deviation as a fraction of it.
        chance: What draws the error.
    """
    found = value * math.exp(noise * float(chance.standard_normal()))
    away = math.exp(_Z_95 * noise)
    return {name: found, f"{name}_low": found / away, f"{name}_high": found * away}


def scored(name: str, value: float, error: float, chance: Chance) -> Row:
    """A score that is off by a normal error, and its standard error."""
    found = value + error * float(chance.standard_normal())
    return {
        name: found,
        f"{name}_se": error,
        f"{name}_low": found - _Z_95 * error,
        f"{name}_high": found + _Z_95 * error,
    }


def covered(truth: float, intervals: Sequence[tuple[float | None, float | None]]) -> int:
    """How many intervals hold a value; an end that is `None` leaves that side open."""
    return sum(
        (low is None or low <= truth) and (high is None or truth <= high) for low, high in intervals
    )


def two_sizes(
    advantage: Callable[[float], float],
    error: float,
    seed: int,
    bpw: Mapping[str, float] = MANY,
    shared: float = 0.0,
) -> list[Row]:
    """A model of 1B and one of 2B weights, whose accuracies differ by a formula at equal bytes.

    Args:
        advantage: How much better the larger one is at so many bits per weight of its own, than the
            smaller one at the same bytes.
        error: The standard error of every accuracy.
        seed: What errors are drawn from.
        bpw: The types of both.
        shared: The part of an error's variance that all types of a model share, from 0 to 1.
    """
    chance = np.random.default_rng(seed)

    def smaller(bits: float) -> float:
        return 0.6 - 0.3 * math.exp(-bits / 3)

    def scores(score: Callable[[float], float]) -> Callable[[float], Row]:
        common = error * math.sqrt(shared) * float(chance.standard_normal())
        own = error * math.sqrt(1 - shared)

        def figures(bits: float) -> Row:
            found = scored("accuracy", score(bits) + common, own, chance)
            return {**found, "accuracy_se": error}

        return figures

    of_larger = scores(lambda bits: smaller(2 * bits) + advantage(bits))
    return [
        *types(scores(smaller), bpw, 1e9, model="made-1B"),
        *types(of_larger, bpw, 2e9, model="made-2B"),
    ]


def turning_at(bits: float, height: float = 0.1) -> Callable[[float], float]:
    """An advantage that is below 0 below so many bits per weight, and levels off above them."""
    return lambda bpw: height * (1 - math.exp(bits - bpw))


def many(made: Callable[[int], list[Row]], seeds: int = 100) -> list[Row]:
    """The rows of many seeds, each on a device of its own: one table takes less time than many.

    Args:
        made: What makes the rows of a seed.
        seeds: How many.
    """
    return [{**row, "device": f"device {seed}"} for seed in range(seeds) for row in made(seed)]
