"""Whether a device grew slower or faster in the course of a run.

Each trial is compared with itself only: in every two of its rounds, how its decode speed changed
between them, as a ratio. That is the seasonal Kendall test, with trials for seasons: the number of
rises less that of falls is compared with what chance gives, and the median of the logarithms of the
ratios per hour, with the ranks that the test does not reject, is the slope with its interval; of
logarithms, since no speed falls by more than 100 % (R. M. Hirsch, J. R. Slack and R. A. Smith,
Techniques of Trend Analysis for Monthly Water Quality Data, Water Resources Research 18, 1982;
P. K. Sen, Journal of the American Statistical Association 63, 1968). Ranks are not led astray by
single rounds that were disturbed. The verdict is on the run, not on its cause: a speed that wanders
slowly looks like a drift for as long as a short run lasts.
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from odllm_controller import store

# Below it nobody would measure again: the width of an interval that is asked for by default.
TOLERABLE = 0.02

_Z_95 = statistics.NormalDist().inv_cdf(0.975)
_ROUNDS = """
SELECT
    devices.name || if(devices.kind = 'real', '', ' (' || devices.kind || ')') AS device,
    device_id, trial_id,
    epoch(min(rates.started_at)) / 3600 AS hours,
    median(decode_tok_s) AS decode_tok_s
FROM rates_of((SELECT list(DISTINCT trial_id) FROM rounds WHERE run_id = $run)) AS rates
JOIN trials USING (trial_id)
JOIN devices USING (device_id)
WHERE run_id = $run
GROUP BY devices.name, devices.kind, device_id, trial_id, round_id
HAVING count(decode_tok_s) > 0
ORDER BY device, device_id, hours
"""

Point: TypeAlias = tuple[float, float]
"""The hour of a round and the speed in it."""


class DriftVerdict(StrEnum):
    """Whether there was a drift."""

    DRIFT = "drift"
    NONE_SEEN = "none seen"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Drift:
    """How the decode speed of a device changed in a run.

    Attributes:
        device: The device's name.
        hours: From its first round to its last.
        slope: Change of the speed's natural logarithm per hour; `None` where nothing was measured
            twice.
        low: The lower end of its 95 % interval, or `None`.
        high: The upper end, or `None`.
    """

    device: str
    hours: float
    slope: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> DriftVerdict:
        """`NONE_SEEN` if the whole interval is too small to matter over the run's length."""
        if self.low is None or self.high is None:
            return DriftVerdict.UNDECIDED
        if max(-change(self.low, self.hours), change(self.high, self.hours)) <= TOLERABLE:
            return DriftVerdict.NONE_SEEN
        return DriftVerdict.DRIFT if self.low > 0 or self.high < 0 else DriftVerdict.UNDECIDED


def change(slope: float, hours: float) -> float:
    """What a slope makes of a speed in some hours, as a fraction of it."""
    return math.expm1(slope * hours)


def drift(device: str, trials: Sequence[Sequence[Point]]) -> Drift:
    """How the speed of one device changed.

    Args:
        device: Its name.
        trials: The rounds of each trial: when, and how fast.
    """
    hours = [hour for rounds in trials for hour, _ in rounds]
    bare = Drift(device, max(hours) - min(hours))
    slopes = sorted(slope for rounds in trials for slope in _slopes(rounds))
    if not slopes:
        return bare
    ends = _ends(slopes, sum(_variance(len(rounds)) for rounds in trials))
    return Drift(device, bare.hours, statistics.median(slopes), *ends)


def load(path: Path, run: str) -> tuple[Drift, ...]:
    """How the speed of every device changed that measured something in a run.

    Args:
        path: The store.
        run: The run's id.

    Raises:
        StoreError: The store cannot be read.
    """
    found = store.read(path, _ROUNDS, {"run": run})
    return tuple(
        drift(str(device), [_points(rounds) for _, rounds in rows.groupby("trial_id")])
        for (device, _), rows in found.groupby(["device", "device_id"], sort=False)
    )


def _points(rounds: pd.DataFrame) -> list[Point]:
    pairs = rounds[["hours", "decode_tok_s"]].itertuples(index=False)
    return [(float(hour), float(speed)) for hour, speed in pairs]


def _slopes(rounds: Sequence[Point]) -> Iterator[float]:
    """The change of the logarithm per hour between every two rounds of a trial."""
    for (hour, speed), (later, then) in itertools.combinations(sorted(rounds), 2):
        if later > hour:
            yield math.log(then / speed) / (later - hour)


def _variance(n: int) -> float:
    """Of rises less falls among the pairs of n values in an order of chance (Kendall)."""
    return n * (n - 1) * (2 * n + 5) / 18


def _ends(slopes: Sequence[float], variance: float) -> tuple[float | None, float | None]:
    """The slopes, sorted, between which the true one lies with 95 %, if there are enough (Sen)."""
    rank = int((len(slopes) - _Z_95 * math.sqrt(variance)) / 2)
    return (slopes[rank - 1], slopes[-rank]) if rank >= 1 else (None, None)
