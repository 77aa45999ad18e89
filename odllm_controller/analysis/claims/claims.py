"""The five claims of arXiv 2505.15030, and what the stored data say of each.

A claim is supported or contradicted only by several models, or pairs of models, that agree: see
`standing.agreed`. What is simulated is no evidence; what is virtual is named. Each claim is judged
by the module that its function names, which tells the statistic and its source.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from odllm_agent.contract import DeviceKind, Method
from odllm_controller.analysis.bounds.bottleneck import Direction, Shift, shifts
from odllm_controller.analysis.bounds.bound import Bound
from odllm_controller.analysis.claims.linearity import LEAST_TYPES, SYSTEM, Linearity, linearities
from odllm_controller.analysis.claims.pairwise import QUALITIES
from odllm_controller.analysis.claims.phases import PhasePower, phase_powers
from odllm_controller.analysis.claims.steps import TypeStep, descents
from odllm_controller.analysis.claims.threshold import (
    AROUND_BPW,
    CLAIMED_BPW,
    Threshold,
    thresholds,
)
from odllm_controller.analysis.claims.verdict import Judgement, Verdict
from odllm_controller.analysis.matching.cells import latest
from odllm_controller.analysis.matching.families import is_quantized
from odllm_controller.analysis.queries.subject import MODEL_SUBJECT, SETUP
from odllm_controller.analysis.statistics.standing import Standing, agreed

LITTLE_ACCURACY = 0.02
"""An accuracy that is lost and still counts as little: two percentage points."""

MUCH_MEMORY = 1 / 3
"""The part of peak memory whose saving counts as much."""

LOW_BPW = (CLAIMED_BPW, 5.0)
"""Which types count as low: from the paper's threshold to five bits."""

# Below it the process itself fills the memory, and no type can save much of it.
_LEAST_WEIGHTS = 0.5
_SHOWN = 6
_NEIGHBOUR = ("device", "configuration", "workload_label", "larger", "quality", "cost")


def verdicts(results: pd.DataFrame) -> tuple[Verdict, ...]:
    """What some rows say of each claim.

    Args:
        results: Rows as `results.load` gives them, of one device or of many.
    """
    rows = latest(results)
    rows = rows[rows["device_kind"] != DeviceKind.SIMULATED]
    return tuple(
        judge(rows).verdict(number, claim)
        for number, (claim, judge) in enumerate(_CLAIMS.items(), start=1)
    )


def _growth(rows: pd.DataFrame) -> Judgement:
    """Claim 1, by `analysis.linearity`."""
    found = linearities(rows)
    of_metrics = [
        (metric, [each for each in found if each.metric == metric.name]) for metric in SYSTEM
    ]
    judged = [(metric, lines) for metric, lines in of_metrics if lines]
    standings = [agreed((each.model, each.standing) for each in lines) for _, lines in judged]
    # One metric that does not grow so contradicts what is said of all.
    contradicted = Standing.CONTRADICTED in standings
    together = agreed((str(place), each) for place, each in enumerate(standings))
    return Judgement(
        Standing.CONTRADICTED if contradicted else together,
        tuple(f"{metric.label}: {_lines(lines)}." for metric, lines in judged)
        or (f"No model was measured at {LEAST_TYPES} quantized types.",),
        _used(rows, found),
        f"At least two models at {LEAST_TYPES} or more quantized types, with enough rounds that"
        " their intervals are narrow against the steps between types.",
    )


def _lines(lines: Sequence[Linearity]) -> str:
    r2 = [each.r2 for each in lines if each.r2 is not None]
    fit = f", R2 {_range(r2, 2)} without F16" if r2 else ""
    return f"{_counts(each.standing for each in lines)} of {_n(len(lines), 'line')}{fit}"


def _turn(rows: pd.DataFrame) -> Judgement:
    """Claim 2, by `analysis.threshold`."""
    told = _of_neighbours(thresholds(rows))
    standing = agreed((f"{each.smaller}/{each.larger}", each.standing) for each in told)
    return Judgement(
        standing,
        (*_statements(told), _above(told))
        if told
        else ("No two sizes of a family with scores fill the same room.",),
        _met(rows, told),
        "Two or more pairs of sizes of one family, of scored models, with types on both sides of"
        f" {CLAIMED_BPW} BPW (such as IQ2, Q2_K, Q3_K_S, Q3_K_M), and more questions or text"
        " where an interval is wide.",
    )


def _of_neighbours(found: Sequence[Threshold]) -> Sequence[Threshold]:
    """Of each larger model the pair with the next smaller one: others rest on the same scores."""
    by_larger = {
        tuple(getattr(each, name) for name in _NEIGHBOUR): each for each in found if not each.reason
    }
    # Pairs come with the smaller ones rising, so that the last one stays.
    return list(by_larger.values())


def _statements(told: Sequence[Threshold]) -> tuple[str, ...]:
    """What is found of each pair, once where devices agree."""
    statements = list(dict.fromkeys(f"{each.statement}." for each in told))
    more = len(statements) - _SHOWN
    return tuple(statements[:_SHOWN]) + ((f"And {more} more.",) if more > 0 else ())


def _above(told: Sequence[Threshold]) -> str:
    """In how many pairs the larger model wins above, wherever its advantage ends."""
    counts = [
        f"in {sum(each.is_better_above for each in of_quality)} of {len(of_quality)} by {quality}"
        for quality in QUALITIES
        if (of_quality := [each for each in told if each.quality == quality])
    ]
    latest_bpw = AROUND_BPW[1]
    return f"Surely better from {latest_bpw:g} BPW on, if not before: {', '.join(counts)}."


def _met(rows: pd.DataFrame, told: Sequence[Threshold]) -> pd.DataFrame:
    met = {(each.device, model) for each in told for model in (each.smaller, each.larger)}
    scored = rows[rows["accuracy"].notna() | rows["perplexity"].notna()]
    return _among(scored, ("device", "model"), met)


def _thrift(rows: pd.DataFrame) -> Judgement:
    """Claim 3, by `analysis.steps`."""
    found = [each for each in descents(rows) if _is_to_low(each)]
    told = [
        each
        for each in found
        if each.weights_share is not None and each.weights_share >= _LEAST_WEIGHTS
    ]
    small = len({each.model for each in found} - {each.model for each in told})
    return Judgement(
        agreed((each.model, _saves(each)) for each in told),
        (
            f"From F16 to types of {LOW_BPW[0]} to {LOW_BPW[1]:g} BPW: {_losses(found)}."
            if found
            else "No model has an accuracy both at F16 and at a low type.",
            f"Of {_n(small, 'model')} the weights fill less than half of the process's memory at"
            " F16, so that no type could save much of it."
            if small
            else "",
            f"Little counts up to {100 * LITTLE_ACCURACY:g} points, much from"
            f" {100 * MUCH_MEMORY:.0f} % of peak memory on.",
        ),
        _used(rows, found),
        "Two or more models whose weights fill most of the memory, asked so many questions that"
        f" the interval of what they lose is narrower than {100 * LITTLE_ACCURACY:g} points.",
    )


def _is_to_low(step: TypeStep) -> bool:
    low, high = LOW_BPW
    return (
        step.quality == "accuracy" and not is_quantized(step.more) and low <= step.less_bpw < high
    )


def _saves(step: TypeStep) -> Standing:
    low, high, saved = step.lost_low, step.lost_high, step.memory_saved
    if low is None or high is None or saved is None:
        return Standing.UNDECIDED
    if low > LITTLE_ACCURACY or saved < MUCH_MEMORY:
        return Standing.CONTRADICTED
    return Standing.SUPPORTED if high <= LITTLE_ACCURACY else Standing.UNDECIDED


def _losses(found: Sequence[TypeStep]) -> str:
    changes = [-100 * each.lost for each in found if each.lost is not None]
    ends = [
        50 * (each.lost_high - each.lost_low)
        for each in found
        if each.lost_high is not None and each.lost_low is not None
    ]
    files = [100 * each.file_saved for each in found if each.file_saved is not None]
    memory = [100 * each.memory_saved for each in found if each.memory_saved is not None]
    parts = (
        f"accuracy changes by {min(changes):+.1f} to {max(changes):+.1f} points",
        f"known to ±{_range(ends, 1)}" if ends else "of unknown spread",
        f"files shrink by {_range(files, 0)} %" if files else "",
        f"peak memory by {_range(memory, 0)} %" if memory else "",
    )
    return ", ".join(part for part in parts if part)


def _power(rows: pd.DataFrame) -> Judgement:
    """Claim 4, by `analysis.phases`."""
    found = phase_powers(rows)
    measured = [each for each in found if each.energy_method == Method.MEASURED]
    return Judgement(
        agreed((each.model, each.standing) for each in measured),
        (_ratios(measured), _not_measured(found, rows), _bounds(rows) if measured else ""),
        _used(rows, measured),
        "Two or more models on a device whose power is measured, at three or more types each.",
    )


def _ratios(measured: Sequence[PhasePower]) -> str:
    if not measured:
        return ""
    told = [
        f"{each.ratio:.2f} [{each.ratio_low:.2f}, {each.ratio_high:.2f}] ({each.model},"
        f" {each.device})"
        for each in measured
        if each.ratio_low is not None
    ]
    more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    counts = _counts(each.standing for each in measured)
    ratios = f": {', '.join(told[:_SHOWN])}{more}" if told else ""
    return f"Watts of prefill / watts of decode, {counts} of {_n(len(measured), 'model')}{ratios}."


def _not_measured(found: Sequence[PhasePower], rows: pd.DataFrame) -> str:
    estimated = [each for each in found if each.energy_method != Method.MEASURED]
    if estimated:
        return f"Watts of {_n(len(estimated), 'model')} are estimated, and decide nothing."
    if found:
        return ""
    reasons = sorted(set(rows["energy_reason"].dropna()) - {""})
    return f"No power was measured{': ' + reasons[0] if reasons else ''}."


def _bounds(rows: pd.DataFrame) -> str:
    """What the phases were bound by, as far as ceilings tell."""
    told = rows.dropna(subset=["bound", "prefill_bound"])
    if told.empty:
        return ""
    compute = int((told["prefill_bound"] == Bound.COMPUTE).sum())
    traffic = int((told["bound"] == Bound.TRAFFIC).sum())
    return (
        f"Prefill was bound by computation in {compute}, decode by memory traffic in {traffic} of"
        f" {_n(len(told), 'trial')}."
    )


def _bottleneck(rows: pd.DataFrame) -> Judgement:
    """Claim 5, by `analysis.bottleneck`."""
    found = shifts(rows)
    told = [each for each in found if not each.reason]
    # Each rests on several models already.
    standing = agreed(((str(place), each.standing) for place, each in enumerate(told)), least=1)
    return Judgement(
        standing,
        (
            *map(_shift, told[:_SHOWN]),
            *([] if told else _why_no_shift(found)),
            _bounds(rows),
            f"{_VERSIONS} These data show: {_directions(told)}.",
        ),
        _used(rows, told, SETUP),
        "Four or more sizes of models of 64 MB and more, such as 0.5B to 14B, at types that all of"
        " them have, on a device with ceilings.",
    )


def _shift(shift: Shift) -> str:
    return (
        f"On {shift.device} ({shift.configuration}), from {shift.models[-1]} to {shift.models[0]},"
        " a tenth of the weights changes the share of decode's time that reading takes by"
        f" {_change(shift.traffic, shift.traffic_low, shift.traffic_high)} points, computing by"
        f" {_change(shift.compute, shift.compute_low, shift.compute_high)}."
    )


def _why_no_shift(found: Sequence[Shift]) -> Sequence[str]:
    """The reason of what comes nearest, and what it shows."""
    if not found:
        return ["No shares of decode's time are known: there are no ceilings of a device."]
    nearest = max(found, key=lambda each: len(each.models))
    reason = f"{nearest.reason[0].upper()}{nearest.reason[1:]}."
    shares = [
        f"{model} {100 * reading:.0f} % and {100 * computing:.0f} %"
        for model, reading, computing in zip(
            nearest.models, nearest.reading, nearest.computing, strict=True
        )
    ]
    told = f"Reading and computing take, of decode's time: {', '.join(shares)}." if shares else ""
    return [reason, told]


def _change(value: float | None, low: float | None, high: float | None) -> str:
    middle, least, most = (
        "?" if each is None else f"{100 * each:+.1f}" for each in (value, low, high)
    )
    return f"{middle} [{least}, {most}]"


def _directions(told: Sequence[Shift]) -> str:
    counted = Counter(each.direction for each in told)
    if not counted or set(counted) == {Direction.UNDECIDED}:
        return "neither surely"
    return ", ".join(f"{each} ({count} of {len(told)})" for each, count in counted.most_common())


def _used(
    rows: pd.DataFrame, findings: Sequence[object], names: Sequence[str] = MODEL_SUBJECT
) -> pd.DataFrame:
    """The rows that findings are of, by the names of what they are of."""
    return _among(rows, names, {tuple(getattr(each, name) for name in names) for each in findings})


def _among(
    rows: pd.DataFrame, names: Sequence[str], kept: Container[tuple[object, ...]]
) -> pd.DataFrame:
    keys = rows[list(names)].itertuples(index=False, name=None)
    return rows[np.array([key in kept for key in keys], dtype=bool)]


def _counts(standings: Iterable[Standing]) -> str:
    counted = Counter(standings)
    return ", ".join(f"{each} in {counted[each]}" for each in Standing if counted[each])


def _range(values: Sequence[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _n(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


_VERSIONS = (
    "As models shrink, the paper's text of September 2025 has the bottleneck move from computation"
    " to communication, its later version from communication to computation."
)

_CLAIMS: Mapping[str, Callable[[pd.DataFrame], Judgement]] = {
    "System metrics scale near-linearly with effective bits per weight.": _growth,
    f"Around {CLAIMED_BPW} effective bits per weight there is a threshold: above it a larger model"
    " in few bits beats a smaller one in many.": _turn,
    "Few bits per weight cost little accuracy and save much memory.": _thrift,
    "Compute-bound work (prefill) draws more power than memory-bound work (decode).": _power,
    "As models shrink, the bottleneck moves from memory traffic to computation.": _bottleneck,
}
"""The claims by what judges them, in their order."""
