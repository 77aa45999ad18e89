"""Configurations whose figures follow from a formula, as rows of `results.load`."""

import functools
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import Floats
from tests.result_frames import frame

_Z_95 = 1.96


def offer(name: str = "m", **figures: object) -> dict[str, object]:
    """What is told of one model; `decode_tok_s=(100, 0.05)` has a relative spread of 0.05."""
    row: dict[str, object] = {"model": name}
    for metric, value in figures.items():
        row |= spread(metric, *value) if isinstance(value, tuple) else {metric: value}
    return row


def offers(*rows: Mapping[str, object]) -> pd.DataFrame:
    return frame(*rows)


def spread(metric: str, value: float, relative: float) -> dict[str, object]:
    """A positive figure with the interval of a normal distribution of its logarithm."""
    away = math.exp(_Z_95 * relative)
    return {metric: value, f"{metric}_low": value / away, f"{metric}_high": value * away}


def scored(metric: str, value: float, se: float) -> dict[str, object]:
    """A score with its standard error, as `results.load` gives its interval."""
    ends = {f"{metric}_low": value - _Z_95 * se, f"{metric}_high": value + _Z_95 * se}
    return {metric: value, f"{metric}_se": se, **ends}


def asked(**accuracies: float) -> dict[str, object]:
    """The accuracies of tasks, and their mean."""
    mean = sum(accuracies.values()) / len(accuracies)
    return {"accuracies": json.dumps(accuracies), "accuracy": mean}


def noisy(truths: Sequence[Mapping[str, float]], relative: float, seed: int) -> pd.DataFrame:
    """Figures drawn around true ones, with intervals as wide as what they were drawn from."""
    chance = np.random.default_rng(seed)
    columns: dict[str, Floats] = {}
    for metric in truths[0]:
        values = np.array([truth[metric] for truth in truths])
        drawn = values * np.exp(relative * chance.standard_normal(len(truths)))
        away = math.exp(_Z_95 * relative)
        columns |= {metric: drawn, f"{metric}_low": drawn / away, f"{metric}_high": drawn * away}
    return alike(len(truths)).assign(**columns)


@functools.cache
def alike(n: int) -> pd.DataFrame:
    """Rows that differ in nothing but the model's name: m0, m1, ..."""
    return frame(*(offer(f"m{place}") for place in range(n)))
