"""What was measured of trials, repeat by repeat, and the ratio of two of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from odllm_agent.statistics.interval import Interval
from odllm_controller import store
from odllm_controller.analysis.statistics.ratio import Measured, ratio

_SAMPLES = """
SELECT trial_id, metric, run_id, round, list(value) AS repeats
FROM samples_of($trials)
WHERE metric IN (SELECT unnest($metrics))
GROUP BY ALL
"""
_ROUNDS = """
SELECT trial_id, metric, run_id, round, list(value) AS repeats
FROM (
    UNPIVOT (
        SELECT
            trial_id, run_id, round, load_s,
            peak_rss_bytes::DOUBLE AS peak_rss_bytes,
            mapped_bytes::DOUBLE AS mapped_bytes,
            anonymous_bytes::DOUBLE AS anonymous_bytes,
            loaded_bytes::DOUBLE AS loaded_bytes,
            kv_bytes::DOUBLE AS kv_bytes,
            compute_bytes::DOUBLE AS compute_bytes
        FROM rounds
        SEMI JOIN (SELECT unnest($trials) AS trial_id) AS wanted USING (trial_id)
        WHERE complete
    )
    ON COLUMNS (* EXCLUDE (trial_id, run_id, round)) INTO NAME metric VALUE value
)
WHERE metric IN (SELECT unnest($metrics))
GROUP BY ALL
"""

Samples: TypeAlias = Mapping[tuple[str, str], Measured]
"""What was measured, by trial id and metric."""


def load(path: Path, trials: Sequence[str], metrics: Sequence[str]) -> Samples:
    """What was measured of some trials.

    Args:
        path: The store.
        trials: Their ids.
        metrics: Names of metrics that rest on repeats or rounds; others give nothing.

    Raises:
        StoreError: The store cannot be read.
    """
    asked = {"trials": list(trials), "metrics": list(metrics)}
    found: dict[tuple[str, str], dict[tuple[str, int], tuple[float, ...]]] = {}
    for query in (_SAMPLES, _ROUNDS):
        for trial, name, run, index, repeats in store.read(path, query, asked).itertuples(
            index=False
        ):
            found.setdefault((trial, name), {})[run, index] = tuple(map(float, repeats))
    return found


def ratio_of(of: Measured, against: Measured, seed: str) -> Interval | None:
    """The ratio, or `None` where a side has no values, or one that no ratio can be made of.

    Args:
        of: What is compared.
        against: What it is compared with.
        seed: What the draws are made from.
    """
    if not of or not against:
        return None
    values = [value for side in (of, against) for repeats in side.values() for value in repeats]
    return ratio(of, against, seed) if min(values) > 0 else None
