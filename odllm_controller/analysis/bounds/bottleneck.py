"""Where the bottleneck of decode moves as models shrink.

`mbu` is the share of a token's time that reading its bytes takes at the device's own ceiling,
`decode_compute_fraction` that of its operations. Both are averaged, for each model, over the types
that all models of a device and engine have, and a line is fitted to each against the logarithm of
the number of weights: a point per model, since types of one model are no independent evidence.
Both slopes lie in their intervals with 95 %, so each in its own with 97.5 % (Bonferroni).

A file that may lie in the processor's cache is left out: the ceiling of memory is none of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import CONFIDENCE
from odllm_controller.analysis.matching.cells import latest
from odllm_controller.analysis.queries.subject import SETUP, Setup
from odllm_controller.analysis.statistics.lines import least_squares
from odllm_controller.analysis.statistics.standing import Standing

CACHED_BYTES = 64e6
"""Files below it may lie in a cache: few laptops have more, most have much less."""

_SHARES = ["mbu", "decode_compute_fraction"]
_COLUMNS = [*SETUP, "model", "quantization", "n_weights", "file_bytes", *_SHARES]
_LEAST_SIZES = 4
# Of each of two intervals that hold both with 95 %.
_EACH = 1 - (1 - CONFIDENCE) / 2


class Direction(StrEnum):
    """Where decode's bottleneck moves as models shrink."""

    TO_COMPUTE = "from memory traffic to computation"
    TO_TRAFFIC = "from computation to memory traffic"
    TO_NEITHER = "away from both"
    UNDECIDED = "undecided"


_STANDINGS = {
    Direction.TO_COMPUTE: Standing.SUPPORTED,
    Direction.TO_TRAFFIC: Standing.CONTRADICTED,
    Direction.TO_NEITHER: Standing.CONTRADICTED,
    Direction.UNDECIDED: Standing.UNDECIDED,
}


@dataclass(frozen=True, slots=True)
class Shift(Setup):
    """How the shares of decode's time change with the size of models on one device and engine.

    Attributes:
        models: The models' names, from few weights to many.
        types: The types that all of them have.
        n: The trials.
        reading: The mean share of decode's time that reading takes, for each model.
        computing: The mean share that computing takes.
        traffic: What the share of reading gains as models shrink to a tenth; `None` with too few.
        traffic_low: The lower end of its interval.
        traffic_high: The upper end.
        compute: What the share of computing gains.
        compute_low: The lower end of its interval.
        compute_high: The upper end.
        direction: Where that moves the bottleneck.
        reason: Why there is none of this, or `""`.
    """

    models: tuple[str, ...]
    types: tuple[str, ...]
    n: int
    reading: tuple[float, ...]
    computing: tuple[float, ...]
    traffic: float | None = None
    traffic_low: float | None = None
    traffic_high: float | None = None
    compute: float | None = None
    compute_low: float | None = None
    compute_high: float | None = None
    direction: Direction = Direction.UNDECIDED
    reason: str = ""

    @property
    def standing(self) -> Standing:
        """Whether the bottleneck moves from traffic to computation."""
        return _STANDINGS[self.direction]


def shifts(results: pd.DataFrame) -> tuple[Shift, ...]:
    """How the shares change with size, per device, workload and configuration.

    Args:
        results: Rows as `results.load` gives them.
    """
    rows = latest(results)[_COLUMNS].dropna(subset=["n_weights", *_SHARES])
    return tuple(
        _of_group(cast("tuple[str, str, str]", names), alike)
        for names, alike in rows.groupby(SETUP, sort=False)
    )


def _of_group(names: tuple[str, str, str], rows: pd.DataFrame) -> Shift:
    large = rows[rows["file_bytes"] >= CACHED_BYTES]
    shared = _shared_types(large)
    kept = large[large["quantization"].isin(shared)]
    sizes = kept.groupby(["n_weights", "model"])[_SHARES].mean()
    models = tuple(str(model) for _, model in sizes.index)
    reading, computing = (tuple(sizes[name].tolist()) for name in _SHARES)
    bare = Shift(*names, models, tuple(shared), len(kept), reading, computing)
    distinct = sizes.index.get_level_values("n_weights").nunique()
    if distinct < _LEAST_SIZES:
        which = f"of {CACHED_BYTES / 1e6:.0f} MB or more at a type in common"
        reason = f"it takes {_LEAST_SIZES} sizes of models {which}, and there are {distinct}"
        return replace(bare, reason=reason)
    return _moved(bare, sizes)


def _shared_types(rows: pd.DataFrame) -> Sequence[str]:
    """The types that all models have, in the order of the rows."""
    models = rows["model"].nunique()
    of_types = rows.groupby("quantization", sort=False)["model"].nunique()
    return [str(kind) for kind, count in of_types.items() if count == models]


def _moved(bare: Shift, sizes: pd.DataFrame) -> Shift:
    tenths = -np.log10(sizes.index.get_level_values("n_weights").to_numpy("float64"))
    traffic, compute = (least_squares(tenths.tolist(), sizes[name].tolist()) for name in _SHARES)
    (traffic_low, traffic_high), (compute_low, compute_high) = (
        line.slope_ends(_EACH) for line in (traffic, compute)
    )
    return replace(
        bare,
        traffic=traffic.slope,
        traffic_low=traffic_low,
        traffic_high=traffic_high,
        compute=compute.slope,
        compute_low=compute_low,
        compute_high=compute_high,
        direction=_direction(_sign(traffic_low, traffic_high), _sign(compute_low, compute_high)),
    )


def _sign(low: float, high: float) -> int:
    """Whether a share surely grows (1) or falls (-1) as models shrink; 0 if that is open."""
    return int(low > 0) - int(high < 0)


def _direction(traffic: int, compute: int) -> Direction:
    if compute == 1 and traffic != 1:
        return Direction.TO_COMPUTE
    if traffic == 1 and compute != 1:
        return Direction.TO_TRAFFIC
    return Direction.TO_NEITHER if traffic == compute == -1 else Direction.UNDECIDED
