"""What may be chosen on one device for one workload, and how sure the first choice is.

Each figure is drawn anew from its interval two thousand times, independently of all others; only
rows that share a quality check share its draw. In each draw the best configuration that meets all
limits wins: how often each wins is how sure it is the best one.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odllm_agent.statistics.interval import Floats, generator
from odllm_controller.analysis.advice.goodness import (
    Goodness,
    bound_on_scale,
    goodness,
    is_logarithmic,
    probability,
)
from odllm_controller.analysis.advice.limits import Limit
from odllm_controller.analysis.advice.objective import Objective
from odllm_controller.analysis.queries.results import Row
from odllm_controller.metrics import Basis, Metric

# A chance of one half is then known to 1 %.
_DRAWS = 2000
# What happens less often changes nothing that is told.
_HARDLY_EVER = 1e-3
# Between equals: the faster one, then the one that needs less memory.
_TIES = (("decode_tok_s", False), ("peak_rss_bytes", True))
# Of what was checked once for all configurations that run it.
_FILE = ["model", "quantization", "engine", "engine_build"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Configurations that can be compared, the best by the objective first.

    Attributes:
        rows: Rows of one device and workload that have all figures that are asked for.
        objective: What is to be as good as possible.
        limits: What each must meet.
        aim: How good each is by the objective.
        margins: How far each is inside of each limit, shape (limits, n); negative outside.
        spreads: The standard deviations of those, shape (limits, n).
    """

    rows: pd.DataFrame
    objective: Objective
    limits: tuple[Limit, ...]
    aim: Goodness
    margins: Floats
    spreads: Floats

    @classmethod
    def of(cls, rows: pd.DataFrame, objective: Objective, limits: Sequence[Limit]) -> "Candidates":
        """The candidates among rows that have all figures that are asked for."""
        ties = [rows[name].to_numpy() * (1 if rising else -1) for name, rising in _TIES]
        order = np.lexsort([*reversed(ties), -objective.goodness(rows).middle])
        ranked = rows.iloc[order]
        sides = [_inside(ranked, limit) for limit in limits]
        return cls(
            rows=ranked,
            objective=objective,
            limits=tuple(limits),
            aim=objective.goodness(ranked),
            margins=_stacked([side.middle for side in sides], len(ranked)),
            spreads=_stacked([side.sd for side in sides], len(ranked)),
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics of the objective and the limits, each once."""
        limited = (limit.metric for limit in self.limits)
        return tuple(dict.fromkeys((*self.objective.metrics, *limited)))

    @property
    def chances(self) -> Floats:
        """The probability that each meets each limit, shape (limits, n)."""
        return probability(self.margins, self.spreads)

    @property
    def meets(self) -> Flags:
        """Which meet all limits by what was found, shape (n,)."""
        return _flags((self.margins >= 0).all(axis=0))

    @property
    def first(self) -> int:
        """The place of the best that meets all limits; 0 where nothing does."""
        return int(self.meets.argmax())

    def sharing(self, place: int, metric: Metric) -> Flags:
        """Which have the very figure of a metric that one of them has, itself too, shape (n,)."""
        if metric.basis is not Basis.CHECK:
            return _flags(np.arange(len(self.rows)) == place)
        checks = _checks(self.rows)
        return _flags(checks == checks[place])

    def meets_all_but(self, limit: int) -> Flags:
        """Which meet all limits except perhaps one, shape (n,)."""
        return _flags((np.delete(self.margins, limit, axis=0) >= 0).all(axis=0))

    @property
    def beats_first(self) -> Flags:
        """Which are better by the objective than the first; all where nothing meets the limits."""
        if not self.meets.any():
            return ~self.meets
        return _flags(self.aim.middle > self.aim.middle[self.first])

    @property
    def closest(self) -> int:
        """The place of the one that misses by least, relative to the limit, what it misses most."""
        missed = [
            np.where(margins < 0, np.abs(_values(self.rows, limit) - limit.bound), 0.0)
            / (abs(limit.bound) or 1.0)
            for limit, margins in zip(self.limits, self.margins, strict=True)
        ]
        return int(np.max(missed, axis=0).argmin())

    def row(self, place: int) -> Row:
        """The row at a place."""
        return {str(name): value for name, value in self.rows.iloc[place].items()}

    def is_ranked(self, place: int) -> bool:
        """Whether it can be told how likely one of them is the best."""
        row = self.row(place)
        return len(self.rows) > 1 and not any(
            self.is_bare(metric, row) for metric in self.objective.metrics
        )

    @staticmethod
    def is_bare(metric: Metric, row: Row) -> bool:
        """Whether a figure that differs from repeat to repeat has no interval in a row."""
        return metric.basis is Basis.REPEATS and bool(pd.isna(row.get(metric.low)))

    def merit(self, place: int) -> float:
        """How good one is: the metric's value, or its mean ratio to the best figures there are."""
        if self.objective.single:
            return float(self.rows[self.objective.single.name].iloc[place])
        best = sum(
            weight * goodness(self.rows, metric, logarithmic=True).middle.max()
            for metric, weight in self.objective.shares()
        )
        return float(np.exp(self.aim.middle[place] - best))

    def wins(self) -> Floats:
        """In how many of the draws each is the best that meets all limits, as a share, shape (n,).

        What is left to 1 is the share of draws in which nothing meets them.
        """
        shares = np.zeros(len(self.rows))
        likely = np.flatnonzero(self._may_win())
        if not likely.size:
            return shares
        aims = _drawn_aims(self.rows.iloc[likely], self)
        best = aims.argmax(axis=1)
        won = np.isfinite(aims[np.arange(_DRAWS), best])
        shares[likely] = np.bincount(best[won], minlength=len(likely)) / _DRAWS
        return shares

    def _may_win(self) -> Flags:
        """Which are worth drawing: they may meet the limits, and be better than one that does."""
        may_meet = self.chances.prod(axis=0) > _HARDLY_EVER
        if not self.meets.any():
            return _flags(may_meet)
        ahead = self.aim.middle - self.aim.middle[self.first]
        better = probability(ahead, np.hypot(self.aim.sd, self.aim.sd[self.first]))
        better[self.first] = 1.0
        return _flags(may_meet & (better > _HARDLY_EVER))


def _inside(rows: pd.DataFrame, limit: Limit) -> Goodness:
    """How far inside of a limit each row is, and the spread of that."""
    logarithmic = is_logarithmic(rows, limit.metric)
    found = goodness(rows, limit.metric, logarithmic=logarithmic)
    bound = bound_on_scale(limit.bound, limit.metric, logarithmic=logarithmic)
    return Goodness(found.middle - bound, found.sd)


def _values(rows: pd.DataFrame, limit: Limit) -> Floats:
    return rows[limit.metric.name].to_numpy(np.float64)


def _stacked(parts: Sequence[Floats], n: int) -> Floats:
    return np.stack(parts) if parts else np.empty((0, n))


def _drawn_aims(rows: pd.DataFrame, asked: Candidates) -> Floats:
    """How good each row is in each draw, -inf where it misses a limit, shape (draws, n)."""
    away = _deviations(rows, asked.metrics)
    aims = _drawn_objective(rows, asked.objective, away)
    for limit in asked.limits:
        inside = _inside(rows, limit)
        drawn = inside.middle + inside.sd * away[limit.metric.name]
        aims = np.where(drawn >= 0, aims, -np.inf)
    return aims


def _drawn_objective(
    rows: pd.DataFrame, objective: Objective, away: Mapping[str, Floats]
) -> Floats:
    logarithmic = None if objective.single else True
    drawn = np.zeros((_DRAWS, len(rows)))
    for metric, weight in objective.shares():
        found = goodness(rows, metric, logarithmic=logarithmic)
        drawn += weight * (found.middle + found.sd * away[metric.name])
    return drawn


def _deviations(rows: pd.DataFrame, metrics: Iterable[Metric]) -> dict[str, Floats]:
    """By metric, how many standard deviations off each row is in each draw, shape (draws, n)."""
    content = "/".join(map(str, rows["trial_id"]))
    checks = _checks(rows)
    found = {}
    for metric in metrics:
        seed = hashlib.sha256(f"{metric.name}/{content}".encode()).hexdigest()
        drawn = generator(seed).standard_normal((_DRAWS, len(rows)))
        found[metric.name] = drawn[:, checks] if metric.basis is Basis.CHECK else drawn
    return found


def _flags(found: object) -> Flags:
    return np.asarray(found, dtype=np.bool_)


def _checks(rows: pd.DataFrame) -> NDArray[np.int64]:
    """The number of each row's quality check, shape (n,)."""
    return np.asarray(rows.groupby(_FILE, sort=False, dropna=False).ngroup(), dtype=np.int64)
