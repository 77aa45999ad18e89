"""One thing against another, cell by cell: what grew worse, by how much, and whether that is sure.

`matching.pairs` tells what is set against what. Ratios are those of `ratio`: paired where both were
measured in the same rounds.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.statistics.interval import Interval
from odllm_controller.analysis.advice.goodness import goodness
from odllm_controller.analysis.compare.sides import Side
from odllm_controller.analysis.matching.pairs import Pair, is_same_check, of_sides
from odllm_controller.analysis.queries.results import OWN, Z_95, Row
from odllm_controller.analysis.queries.subject import SUBJECT, Subject, subject_of
from odllm_controller.analysis.statistics import samples
from odllm_controller.analysis.statistics.samples import Samples, ratio_of
from odllm_controller.metrics import Basis, Better, Group, Metric, metric

_TOLD: Mapping[str, str] = {
    "engine_version": "engine version",
    "engine_build": "engine build",
    "model_sha256": "the file's bytes",
}


class ChangeVerdict(StrEnum):
    """Whether something changed by more than a limit, as far as the whole interval says so."""

    WORSE = "worse"
    UNDECIDED = "undecided"
    ALIKE = "alike"
    BETTER = "better"


@dataclass(frozen=True, slots=True)
class MetricContrast(Subject):
    """One metric of what both have measured.

    Attributes:
        against: The same, of what it is compared with.
        metric: The metric's name.
        ratio: How many times as large it is, or `None`.
        standing: Whether it is worse or better than the limit allows.
        differing: What else differs between the two, or `""`.
        reason: Why there is no ratio, or no interval of it, or `""`.
    """

    against: str
    metric: str
    ratio: Interval | None
    standing: ChangeVerdict
    differing: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Contrast:
    """All that two things have in common, and what only one has.

    Attributes:
        of: What is compared.
        against: What it is compared with.
        limit: The change that is tolerated, as a fraction.
        cells: A cell and metric each, regressions first.
        only_of: What only the first has, in words.
        only_against: What only the second has.
    """

    of: str
    against: str
    limit: float
    cells: tuple[MetricContrast, ...]
    only_of: tuple[str, ...]
    only_against: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether no metric of any cell could be compared."""
        return all(cell.ratio is None for cell in self.cells)

    @property
    def regressions(self) -> tuple[MetricContrast, ...]:
        """What is surely worse than the limit allows."""
        return tuple(cell for cell in self.cells if cell.standing is ChangeVerdict.WORSE)


@dataclass(frozen=True, slots=True)
class ComparisonTerms:
    """By what two things are compared.

    Attributes:
        metrics: The metrics.
        limit: The change that is tolerated, as a fraction.
        same_store: Whether both lie in the same store.
    """

    metrics: tuple[Metric, ...]
    limit: float
    same_store: bool


def contrast(of: Side, against: Side, metrics: Sequence[Metric], limit: float) -> Contrast:
    """Sets two things against each other.

    Args:
        of: What is compared.
        against: What it is compared with.
        metrics: By what.
        limit: The change that is tolerated, as a fraction.

    Raises:
        UsageError: They have nothing in common.
        StoreError: A store cannot be read.
    """
    pairs = of_sides(of.rows, against.rows)
    if not pairs:
        raise UsageError(
            f"{of.label} and {against.label} have no model, type and workload in common",
            "compare what has measured the same experiment; `odllm explore` shows what each has",
        )
    terms = ComparisonTerms(tuple(metrics), limit, of.path.resolve() == against.path.resolve())
    found = _samples(of, against, pairs, terms)
    cells = (cell for pair in pairs for cell in _cells(*pair, found, terms))
    return Contrast(
        of=of.label,
        against=against.label,
        limit=limit,
        cells=tuple(sorted(cells, key=_worst_first)),
        only_of=_only(of.rows, {row["trial_id"] for row, _ in pairs}),
        only_against=_only(against.rows, {row["trial_id"] for _, row in pairs}),
    )


def _samples(
    of: Side, against: Side, pairs: Sequence[Pair], terms: ComparisonTerms
) -> tuple[Samples, Samples]:
    """The samples of both sides; of one store in one go, as its tables are gone through for it."""
    names = [each.name for each in terms.metrics if each.basis is not Basis.CHECK]
    mine = {row["trial_id"] for row, _ in pairs}
    others = {row["trial_id"] for _, row in pairs}
    if terms.same_store:
        both = samples.load(of.path, sorted(mine | others), names)
        return _of_run(both, of.run), _of_run(both, against.run)
    return (
        _of_run(samples.load(of.path, sorted(mine), names), of.run),
        _of_run(samples.load(against.path, sorted(others), names), against.run),
    )


def _of_run(found: Samples, run: str | None) -> Samples:
    """Those that a run measured, or all."""
    if run is None:
        return found
    return {
        key: {place: repeats for place, repeats in of_key.items() if place[0] == run}
        for key, of_key in found.items()
    }


def _cells(
    row: Row, against: Row, found: tuple[Samples, Samples], terms: ComparisonTerms
) -> Iterator[MetricContrast]:
    device, other = row["device"], against["device"]
    named = device if device == other else f"{device} against {other}"
    for each in terms.metrics:
        ratio, reason = _ratio(row, against, each, found, terms)
        yield MetricContrast(
            **subject_of(row) | {"device": named},
            against=against["configuration"],
            metric=each.name,
            ratio=ratio,
            standing=_standing(ratio, each, terms.limit),
            differing=_differing(row, against),
            reason=reason or (ratio.reason if ratio else ""),
        )


def _ratio(
    row: Row, against: Row, metric: Metric, found: tuple[Samples, Samples], terms: ComparisonTerms
) -> tuple[Interval | None, str]:
    """The ratio of one metric, or why there is none."""
    if metric.group is Group.ENERGY and row["energy_method"] != against["energy_method"]:
        methods = f"{row['energy_method']}, the other {against['energy_method']}"
        return None, f"{metric.label}: one is {methods}"
    if metric.basis is Basis.CHECK:
        if terms.same_store and is_same_check(row, against):
            return None, f"{metric.label}: both have the same check of the same file"
        return _ratio_of_figures(row, against, metric)
    if {row["origin"], against["origin"]} != {OWN}:
        # Of what was imported the store has figures with intervals, and not what they rest on.
        return _ratio_of_figures(row, against, metric)
    above, below = (
        of_side.get((side["trial_id"], metric.name), {})
        for of_side, side in zip(found, (row, against), strict=True)
    )
    ratio = ratio_of(above, below, seed=f"{row['trial_id']}/{against['trial_id']}")
    if ratio is None:
        return None, _why_missing(row, against, metric)
    return ratio, ""


def _ratio_of_figures(row: Row, against: Row, metric: Metric) -> tuple[Interval | None, str]:
    """The ratio of two figures, each with its own interval."""
    sides = pd.DataFrame([row, against])
    if metric.name not in sides or not (sides[metric.name] > 0).all():
        return None, _why_missing(row, against, metric)
    judged = goodness(sides, metric, logarithmic=True)
    middle = float(sides[metric.name].iloc[0] / sides[metric.name].iloc[1])
    away = float(Z_95 * np.hypot(*judged.sd))
    if not judged.sd.all():
        return Interval(middle, reason=f"{metric.label}: one has no interval"), ""
    return Interval(middle, float(middle * np.exp(-away)), float(middle * np.exp(away))), ""


def _why_missing(row: Row, against: Row, metric: Metric) -> str:
    both = pd.DataFrame([row, against])
    if metric.name not in both or both[metric.name].notna().all():
        return f"{metric.label}: no ratio can be made of its values"
    return f"{metric.label}: {metric.why_missing(both)}"


def _standing(ratio: Interval | None, metric: Metric, limit: float) -> ChangeVerdict:
    if ratio is None or ratio.low is None or ratio.high is None:
        return ChangeVerdict.UNDECIDED
    below, above = ratio.high < 1 - limit, ratio.low > 1 + limit
    if below or above:
        is_better = above is (metric.better is Better.HIGHER)
        return ChangeVerdict.BETTER if is_better else ChangeVerdict.WORSE
    inside = ratio.low >= 1 - limit and ratio.high <= 1 + limit
    return ChangeVerdict.ALIKE if inside else ChangeVerdict.UNDECIDED


def _worst_first(cell: MetricContrast) -> tuple[int, float]:
    """Regressions that are sure, then all others, the worse a ratio the earlier."""
    if cell.ratio is None:
        return 2, 0.0
    grew = float(np.log(cell.ratio.middle))
    is_higher_better = metric(cell.metric).better is Better.HIGHER
    return int(cell.standing is not ChangeVerdict.WORSE), grew if is_higher_better else -grew


def _differing(row: Row, against: Row) -> str:
    """What differs between two rows that are compared, beside their figures."""
    mine, others = json.loads(row["settings"]), json.loads(against["settings"])
    shared = sorted(mine.keys() & others.keys())
    settings = [
        f"{name} {mine[name]} against {others[name]}"
        for name in shared
        if mine[name] != others[name]
    ]
    sides = [told for name, told in _TOLD.items() if _unlike(row[name], against[name])]
    return ", ".join([*settings, *sides])


def _unlike(one: object, other: object) -> bool:
    """Whether two values are known and differ."""
    return bool(pd.notna([one, other]).all()) and one != other


def _only(rows: pd.DataFrame, compared: Collection[str]) -> tuple[str, ...]:
    left = rows[~rows["trial_id"].isin(compared)]
    columns = left[SUBJECT]
    return tuple(", ".join(map(str, row)) for row in columns.itertuples(index=False))
