"""How time per token grows with file BPW: a straight line by least squares, and how well it fits.

Where the bytes that a token must read decide, its time and not its speed grows with BPW in a
straight line. F16 lies so far from all other types that it carries most of any line; so every line
is worked out without it too.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import pandas as pd

from odllm_agent.contract import REPEATED, Phase

ALL_TYPES = "all"
QUANTIZED_TYPES = "without F16"
_LEAST_POINTS = 3
# Types of this many bits are not quantized: F16, BF16, F32.
_UNQUANTIZED_BPW = 16

Point = tuple[float, float]
Names = tuple[str, str, str, str]

# What `Scaling` begins with.
_GROUP = ["device", "model", "workload_label", "configuration"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """The line of one model on one device and engine, for one workload and phase.

    Attributes:
        device: The device's name.
        model: The model's name.
        workload_label: The workload with its sizes.
        configuration: The engine with its settings.
        phase: Prefill, or decode.
        types: Which types it rests on.
        n: The types that were measured.
        slope_s: Seconds per token that each bit per weight more takes, or `None`.
        intercept_s: Seconds per token that are left at no bits, or `None`.
        r2: The share of the times' variance that the line explains; `None` where there is no line,
            or where all times are equal.
        reason: Why there is no line, or `""`.
    """

    device: str
    model: str
    workload_label: str
    configuration: str
    phase: Phase
    types: str
    n: int
    slope_s: float | None = None
    intercept_s: float | None = None
    r2: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line by least squares.

    Attributes:
        slope: Its slope.
        intercept: Its value at 0.
        r2: The share of the variance that it explains, from 0 to 1; `None` of equal values.
    """

    slope: float
    intercept: float
    r2: float | None


def least_squares(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """The line with the least squared distance from points.

    Args:
        xs: Shape (n,), not all equal.
        ys: Shape (n,).
    """
    slope, intercept = statistics.linear_regression(xs, ys)
    mean = statistics.fmean(ys)
    total = sum((y - mean) ** 2 for y in ys)
    left = sum((y - intercept - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    return Line(slope, intercept, r2=max(0.0, 1 - left / total) if total else None)


def scalings(results: pd.DataFrame) -> tuple[Scaling, ...]:
    """The lines of everything that was measured, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
    """
    measured = results[results["repeats"] > 0]
    return tuple(
        scaling
        for names, rows in measured.groupby(_GROUP, sort=False)
        for scaling in _of_group(cast(Names, names), rows)
    )


def _of_group(names: Names, rows: pd.DataFrame) -> Iterator[Scaling]:
    for phase in REPEATED:
        points = _points(rows, phase)
        quantized = [point for point in points if point[0] < _UNQUANTIZED_BPW]
        yield _scaling(names, phase, ALL_TYPES, points)
        if len(quantized) < len(points):
            yield _scaling(names, phase, QUANTIZED_TYPES, quantized)


def _points(rows: pd.DataFrame, phase: Phase) -> list[Point]:
    """File BPW and seconds per token of each type that has both."""
    token_s = rows["tpot_s"] if phase is Phase.DECODE else 1 / rows["prefill_tok_s"]
    pairs = pd.DataFrame({"bpw": rows["file_bpw"], "token_s": token_s}).dropna()
    return [(float(bpw), float(s)) for bpw, s in pairs.itertuples(index=False)]


def _scaling(names: Names, phase: Phase, types: str, points: Sequence[Point]) -> Scaling:
    bare = Scaling(*names, phase, types, len(points))
    distinct = len({bpw for bpw, _ in points})
    if distinct < _LEAST_POINTS:
        needed = f"a line needs {_LEAST_POINTS} types of different BPW"
        return replace(bare, reason=f"{needed}, and there are {distinct}")
    line = least_squares(*zip(*points, strict=True))
    return replace(bare, slope_s=line.slope, intercept_s=line.intercept, r2=line.r2)
