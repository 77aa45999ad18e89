"""What bounds trials: time fitted to the bytes that they read and the operations that they do.

A phase of a trial takes about

    window_s = read_bytes x a + operations x b + c

with a, b and c the same for one device, engine and number of threads. They are found by least
squares of relative errors, since a slow trial must not outweigh all fast ones, and none may be
negative, since nothing takes less than no time. The part of the fitted time that `a` has is memory
traffic, that of `b` computation; `c` is what every token or prompt costs besides. How sure that is
tells a bootstrap over the trials (Efron and Tibshirani, An Introduction to the Bootstrap, 13.3).
"""

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odllm_controller import store

_RESAMPLES = 500
_QUANTILES = (0.025, 0.975)
# Three unknowns need more than three trials before anything is left to judge them by.
_LEAST_TRIALS = 6
# Costs whose squares differ by less, relatively, always go together.
_APART = 1e-9
# A difference of summed squares of relative errors that says nothing.
_EQUALLY_GOOD = 1e-12
# What bounds a trial has more than half of its time.
_MOST = 0.5
_SHARES = """
SELECT
    devices.name AS device, trials.device_id, trials.engine, trials.engine_version,
    trials.engine_build,
    (trials.settings ->> 'threads')::INTEGER AS threads,
    shares.*
FROM shares
JOIN trials USING (trial_id)
JOIN devices USING (device_id)
ORDER BY trial_id, phase
"""
_GROUP = ["device_id", "engine", "engine_version", "engine_build", "threads", "phase"]

Floats = NDArray[np.float64]


class Bound(StrEnum):
    """What most of a phase's time is spent on."""

    TRAFFIC = "traffic"
    COMPUTE = "compute"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Task:
    """One phase of one trial: of prefill the whole prompt, of decode the mean output token.

    Attributes:
        read_bytes: The bytes that it has to read.
        operations: The operations that it has to do.
        window_s: The median of its time.
    """

    read_bytes: float
    operations: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a fitted time, between the ends of its 95 % interval; all from 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit says of one task.

    Attributes:
        traffic: The part of its time that memory traffic takes.
        compute: The part that computation takes.
        bound: Which of them has more than half of it, the whole interval; or that it is undecided.
        reason: Why there is no fit, or `""`.
    """

    traffic: Part | None
    compute: Part | None
    bound: Bound
    reason: str = ""


def fit(tasks: Sequence[Task], seed: int = 0) -> tuple[Fitted, ...]:
    """What bounds each of some tasks that one device did with one engine in one phase.

    Args:
        tasks: What was done.
        seed: What the bootstrap's samples are drawn from.

    Returns:
        One per task, in their order.
    """
    if len(tasks) < _LEAST_TRIALS:
        reason = f"a fit needs {_LEAST_TRIALS} trials, and there are {len(tasks)}"
        return (Fitted(None, None, Bound.UNDECIDED, reason),) * len(tasks)
    costs = np.array([(each.read_bytes, each.operations, 1.0) for each in tasks])
    times = np.array([each.window_s for each in tasks])
    once = np.ones((1, len(tasks)))
    # Drawing as many as there are, with putting back, counts some twice and leaves others out.
    even = np.full(len(tasks), 1 / len(tasks))
    chance = np.random.default_rng(seed)
    drawn = chance.multinomial(len(tasks), even, _RESAMPLES).astype(np.float64)
    (found,) = _parts(costs, coefficients(costs, times, once))
    resampled = _parts(costs, coefficients(costs, times, drawn))
    low, high = np.quantile(resampled, _QUANTILES, axis=0)
    return tuple(map(_fitted, found, low, high))


def fits(path: Path) -> pd.DataFrame:
    """The view `shares` with what the fits say of every row.

    Args:
        path: The store.

    Returns:
        The columns of `shares`, those that say what was measured, and `fit`, a `Fitted`.

    Raises:
        StoreError: The store cannot be read.
    """
    shares = store.read(path, _SHARES)
    fitted = dict(itertools.chain.from_iterable(map(_of_group, shares.groupby(_GROUP))))
    return shares.assign(fit=pd.Series(fitted, index=shares.index, dtype=object))


def coefficients(costs: Floats, times: Floats, counts: Floats) -> Floats:
    """The seconds per unit of each cost, none negative, by least squares of relative errors.

    With so few unknowns, every choice of those that are not 0 is tried: the best of the choices
    whose solution has no negative one is the answer (Lawson and Hanson, Solving Least Squares
    Problems, 23).

    Args:
        costs: What each of n tasks costs, in any units, shape (n, k).
        times: Seconds, shape (n,), all above 0.
        counts: How often each task counts, for every fit that is wanted, shape (fits, n).

    Returns:
        Shape (fits, k).
    """
    relative = costs / times[:, np.newaxis]
    units = relative.max(axis=0)
    units[units == 0] = 1.0
    relative = relative / units
    solutions = np.stack(list(_solutions(relative, counts)))
    errors = (counts * (solutions @ relative.T - 1) ** 2).sum(axis=2)
    errors[(solutions < 0).any(axis=2)] = np.inf
    # Of choices that are as good, the first leaves most open: costs that go together share a time.
    best = (errors <= errors.min(axis=0) + _EQUALLY_GOOD).argmax(axis=0)
    return cast(Floats, solutions[best, np.arange(len(counts))] / units)


def _solutions(relative: Floats, counts: Floats) -> Iterator[Floats]:
    """The least-squares solution of every choice of costs, for every fit, the largest first.

    Yields:
        Shape (fits, k).
    """
    n_costs = relative.shape[1]
    gram = np.einsum("fn,nj,nk->fjk", counts, relative, relative)
    aim = counts @ relative
    for size in range(n_costs, -1, -1):
        for chosen in map(list, itertools.combinations(range(n_costs), size)):
            solution = np.zeros_like(aim)
            inverse = np.linalg.pinv(gram[:, chosen][:, :, chosen], _APART, hermitian=True)
            solution[:, chosen] = np.einsum("fjk,fk->fj", inverse, aim[:, chosen])
            yield solution


def _parts(costs: Floats, per_unit: Floats) -> Floats:
    """The part of each task's fitted time that each cost has, shape (fits, n, k)."""
    parts = costs * per_unit[:, np.newaxis]
    total = parts.sum(axis=2, keepdims=True)
    return parts / np.where(total > 0, total, 1.0)


def _fitted(found: Floats, low: Floats, high: Floats) -> Fitted:
    traffic, compute, _ = map(Part, found.tolist(), low.tolist(), high.tolist())
    if traffic.low > _MOST:
        return Fitted(traffic, compute, Bound.TRAFFIC)
    return Fitted(traffic, compute, Bound.COMPUTE if compute.low > _MOST else Bound.UNDECIDED)


def _of_group(group: tuple[Hashable, pd.DataFrame]) -> Iterator[tuple[Hashable, Fitted]]:
    _, rows = group
    columns = rows[["read_bytes", "operations", "window_s"]]
    tasks = [Task(*map(float, row)) for row in columns.itertuples(index=False)]
    return zip(rows.index, fit(tasks), strict=True)
