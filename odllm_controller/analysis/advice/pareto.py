"""Pareto fronts: which configurations nothing else beats in every respect, as far as that is sure.

Another configuration dominates one if it is at least as good by every metric and better by one. How
sure that is follows from both intervals: by each metric, the probability that the difference of two
normal distributions is on its side (see `goodness`); by all, their product. One is off the front
only if some single other dominates it with 95 %, or more where there are many others: the 5 % that
may go wrong are shared among all that were tried (Bonferroni), since of many equally good ones some
look better by chance. It is on the front only if all others together leave 95 % for that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.statistics.interval import Floats
from odllm_controller.analysis.advice.goodness import Goodness, goodness, probability
from odllm_controller.analysis.matching.cells import told_apart
from odllm_controller.analysis.matching.comparable import why_not
from odllm_controller.analysis.queries.results import Row, measured, records
from odllm_controller.analysis.queries.subject import SUBJECT, Subject, subject_of
from odllm_controller.analysis.queries.tasks import with_tasks
from odllm_controller.metrics import Metric

_DOUBT = 0.05
_GROUP = ["device", "workload_label"]
_TOLD = ("trial_id", *SUBJECT)
_ORIGINS = ("energy_method", "quality_text", "accuracies")


class Dominance(StrEnum):
    """Where a configuration stands."""

    ON = "on"
    OFF = "off"
    UNDECIDED = "undecided"
    NOT_PLACED = "not placed"


@dataclass(frozen=True, slots=True)
class ParetoPlace(Subject):
    """Where one configuration stands among all of its device and workload.

    Attributes:
        trial_id: Its trial.
        standing: Where it stands.
        dominated_by: What most surely dominates it, or `None` where nothing does.
        dominated: The probability of that, from 0 to 1, or `None`.
        reason: Why it has no place; or which of its figures have no spread, and are taken as known.
    """

    trial_id: str
    standing: Dominance
    dominated_by: str | None = None
    dominated: float | None = None
    reason: str = ""


def front(results: pd.DataFrame, metrics: Sequence[Metric]) -> tuple[ParetoPlace, ...]:
    """Where every measured configuration stands.

    Args:
        results: Rows as `results.load` gives them.
        metrics: By what they are judged, two or more.

    Returns:
        A place per measured row, in the order of the rows of each device and workload.

    Raises:
        UsageError: There are fewer than two metrics.
    """
    if len({each.name for each in metrics}) < 2:
        raise UsageError("a front needs two metrics", "name another one, such as peak_rss_bytes")
    found = measured(results)
    found = found.assign(configuration=told_apart(found))
    rows = _needed(with_tasks(found, metrics), metrics)
    return tuple(
        place
        for _, alike in rows.groupby(_GROUP, sort=False)
        for place in _of_group(alike, metrics)
    )


def _needed(rows: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """The rows with the few columns of many that are looked at."""
    columns = {*_TOLD, *_ORIGINS}
    for each in metrics:
        columns |= {each.name, each.low, each.high, each.reason or each.name}
    return rows[[name for name in rows if name in columns]]


def dominations(judged: Sequence[Goodness]) -> Floats:
    """How surely each row dominates each other one.

    Args:
        judged: How good n rows are by each metric.

    Returns:
        The probability that row j dominates row i, shape (n, n); 0 of a row with itself.
    """
    n = len(judged[0].middle)
    surely, ahead_anywhere = np.ones((n, n)), np.zeros((n, n), dtype=bool)
    for each in judged:
        ahead = each.middle[np.newaxis, :] - each.middle[:, np.newaxis]
        sd = np.hypot(each.sd[np.newaxis, :], each.sd[:, np.newaxis])
        surely *= probability(ahead, sd)
        ahead_anywhere |= ahead > 0
    return np.where(ahead_anywhere, surely, 0.0)


def _of_group(rows: pd.DataFrame, metrics: Sequence[Metric]) -> Iterator[ParetoPlace]:
    reasons = pd.DataFrame({each.name: why_not(rows, each) for each in metrics})
    placed = (reasons == "").all(axis=1)
    # Of one alone it says nothing that nothing beats it.
    if placed.sum() == 1:
        reasons.loc[placed] = "there is nothing else to compare it with"
        placed[:] = False
    standings = iter(_standings(rows[placed], metrics))
    for is_placed, row, why in zip(placed, records(rows), records(reasons), strict=True):
        if is_placed:
            yield _place(row, *next(standings), reason=_without_spread(row, metrics))
        else:
            reason = "; ".join(dict.fromkeys(str(each) for each in why.values() if each))
            yield _place(row, Dominance.NOT_PLACED, reason=reason)


def _standings(
    rows: pd.DataFrame, metrics: Sequence[Metric]
) -> Iterator[tuple[Dominance, str | None, float | None]]:
    if rows.empty:
        return
    chances = dominations([goodness(rows, each) for each in metrics])
    names = [
        f"{row['model']} {row['quantization']}, {row['configuration']}" for row in records(rows)
    ]
    sure = 1 - _DOUBT / max(1, len(rows) - 1)
    for of_row in chances:
        most = int(of_row.argmax())
        standing = _standing(of_row, sure)
        if standing is Dominance.ON or of_row[most] == 0:
            yield standing, None, None
        else:
            yield standing, names[most], float(of_row[most])


def _standing(chances: Floats, sure: float) -> Dominance:
    if chances.max() >= sure:
        return Dominance.OFF
    return Dominance.ON if np.prod(1 - chances) >= 1 - _DOUBT else Dominance.UNDECIDED


def _place(
    row: Row,
    standing: Dominance,
    dominated_by: str | None = None,
    dominated: float | None = None,
    *,
    reason: str,
) -> ParetoPlace:
    return ParetoPlace(
        trial_id=row["trial_id"],
        **subject_of(row),
        standing=standing,
        dominated_by=dominated_by,
        dominated=dominated,
        reason=reason,
    )


def _without_spread(row: Row, metrics: Sequence[Metric]) -> str:
    labels = [each.label.lower() for each in metrics if pd.isna(row.get(each.low))]
    return f"taken as known, without spread: {', '.join(labels)}" if labels else ""
