"""Which configurations to choose on a device under limits, what the limits cost, and how sure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from odllm_controller.analysis.advice.candidates import Candidates
from odllm_controller.analysis.advice.choice import Choice, Teller
from odllm_controller.analysis.advice.limits import Limit
from odllm_controller.analysis.advice.next_measurement import Turning, turning
from odllm_controller.analysis.advice.objective import Objective
from odllm_controller.analysis.advice.relaxing import LimitCost, cost
from odllm_controller.analysis.matching.cells import told_apart
from odllm_controller.analysis.matching.comparable import why_not
from odllm_controller.analysis.prediction import PREDICTED
from odllm_controller.analysis.queries.results import failed, notes, skipped
from odllm_controller.analysis.queries.tasks import with_tasks
from odllm_controller.metrics import Metric

_GROUP = ["device", "workload_label"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        objective: What is to be as good as possible.
        limits: What must be met.
        top: How many configurations to tell.
    """

    objective: Objective
    limits: tuple[Limit, ...] = ()
    top: int = 3

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics that it asks for, each once."""
        limited = (limit.metric for limit in self.limits)
        return tuple(dict.fromkeys((*self.objective.metrics, *limited)))


@dataclass(frozen=True, slots=True)
class Aside:
    """Configurations that could not take part.

    Attributes:
        reason: Why.
        n: How many.
        metric: The metric of which they have no comparable figure; `""` if it is not that.
    """

    reason: str
    n: int
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer for one device and workload.

    Attributes:
        device: The device's name.
        device_kind: Whether it is a machine, a slice of one, or a formula.
        workload_label: The workload with its sizes.
        objective: What was to be as good as possible, in words.
        limits: The limits, in words.
        choices: What meets them, the best first.
        costs: What each limit costs.
        blame: Where nothing meets the limits: which are to blame, in words; else `""`.
        closest: Where nothing meets them: what comes nearest.
        turning: What to measure next to be surer, or `None` where nothing would change the answer.
        asides: What could not take part, and why.
        notes: What else must be known.
        n: How many configurations were compared.
        predicted: Whether it rests on predictions and not on measurements: never on both.
    """

    device: str
    device_kind: str
    workload_label: str
    objective: str
    limits: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    costs: tuple[LimitCost, ...] = ()
    blame: str = ""
    closest: Choice | None = None
    turning: Turning | None = None
    asides: tuple[Aside, ...] = ()
    notes: tuple[str, ...] = ()
    n: int = 0
    predicted: bool = False


def advise(results: pd.DataFrame, question: Question) -> tuple[Advice, ...]:
    """The answer for each device and workload that some rows have.

    Args:
        results: Rows as `results.load` gives them, or as `prediction.predict` does.
        question: What is asked.
    """
    rows = with_tasks(results, question.metrics)
    return tuple(
        _of_group(alike, question)
        for _, alike in rows.groupby(_GROUP, sort=False)
        if not _with_figures(alike).empty
    )


def _of_group(rows: pd.DataFrame, question: Question) -> Advice:
    there = _with_figures(rows)
    there = there.assign(configuration=told_apart(there))
    able, asides = _able(there, question)
    first = rows.iloc[0]
    bare = Advice(
        device=first["device"],
        device_kind=first["device_kind"],
        workload_label=first["workload_label"],
        objective=question.objective.title,
        limits=tuple(map(str, question.limits)),
        asides=(*asides, *_not_measured(rows)),
        notes=_notes(there, able, question),
        n=len(able),
        predicted=bool((there["status"] == PREDICTED).any()),
    )
    if able.empty:
        why = f"nothing can be compared: {asides[-1].reason}" if asides else "nothing was measured"
        return replace(bare, blame=why)
    return _answered(bare, Candidates.of(able, question.objective, question.limits), question.top)


def _with_figures(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["repeats"] > 0) | (rows["status"] == PREDICTED)]


def _able(rows: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, tuple[Aside, ...]]:
    """The rows that have all figures that are asked for, and why the others do not."""
    left, asides = rows, []
    for each in question.metrics:
        reasons = why_not(left, each)
        counts = reasons[reasons != ""].value_counts()
        asides += [Aside(str(reason), int(n), each.name) for reason, n in counts.items()]
        left = left[reasons == ""]
    return left, tuple(asides)


def _not_measured(rows: pd.DataFrame) -> Iterator[Aside]:
    without = rows[(rows["repeats"].fillna(0) == 0) & (rows["status"] != PREDICTED)]
    for told, some in (("failed", failed(without)), ("cannot run", skipped(without))):
        if len(some):
            yield Aside(f"{told}, see `odllm explore`", len(some))


def _notes(rows: pd.DataFrame, able: pd.DataFrame, question: Question) -> tuple[str, ...]:
    parts = [*notes(rows), question.objective.note]
    if len(again := failed(able)):
        parts.append(f"the last round of {len(again)} of them failed; figures are of earlier ones")
    bare = [each.label.lower() for each in question.metrics if _has_no_spread(able, each)]
    if bare:
        parts.append(f"taken as known, since it has no interval: {', '.join(bare)}")
    return tuple(part for part in parts if part)


def _has_no_spread(rows: pd.DataFrame, of: Metric) -> bool:
    return bool(rows.get(of.low, pd.Series(math.nan, index=rows.index)).isna().any())


def _answered(bare: Advice, asked: Candidates, top: int) -> Advice:
    tell = Teller(asked, asked.wins())
    costs = tuple(cost(tell, place) for place in range(len(asked.limits)))
    if not asked.meets.any():
        closest = tell.choice(asked.closest)
        return replace(bare, costs=costs, blame=_blame(asked, costs), closest=closest)
    chosen = np.flatnonzero(asked.meets)[:top]
    choices = tuple(tell.choice(int(place)) for place in chosen)
    # Of a prediction nothing can be measured better than by measuring it.
    next_one = None if bare.predicted else turning(asked)
    return replace(bare, choices=choices, costs=costs, turning=next_one)


def _blame(asked: Candidates, costs: Sequence[LimitCost]) -> str:
    alone = [each.limit for each in costs if each.nearest]
    if alone:
        return f"nothing meets all limits; {' or '.join(alone)} alone rules everything out"
    never = _named(asked, [bool((margins < 0).all()) for margins in asked.margins])
    if never:
        return f"nothing meets {' nor '.join(never)}, whatever the other limits are"
    unmet = _named(asked, (asked.margins[:, asked.closest] < 0).tolist())
    return f"no limit alone is to blame: what comes nearest misses {' and '.join(unmet)}"


def _named(asked: Candidates, which: Sequence[bool]) -> list[str]:
    return [str(limit) for limit, is_meant in zip(asked.limits, which, strict=True) if is_meant]
