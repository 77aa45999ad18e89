"""Trials that differ in one thing only: the engine, its build or one setting."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from odllm_agent.statistics.interval import Interval
from odllm_controller.analysis.matching.pairs import differing_in_one
from odllm_controller.analysis.queries.results import Row
from odllm_controller.analysis.queries.subject import Subject, subject_of
from odllm_controller.analysis.statistics import samples
from odllm_controller.analysis.statistics.samples import Samples, ratio_of

_METRICS = ("prefill_tok_s", "decode_tok_s", "decode_j_per_token")


@dataclass(frozen=True, slots=True)
class Comparison(Subject):
    """One configuration against another, for one model file and workload on one device.

    Attributes:
        against: The same, of what it is compared with.
        prefill: How many times as fast prefill is.
        decode: How many times as fast decode is.
        energy: How many times as much energy a decoded token takes; `None` where one side has
            none, or both have it by different methods.
    """

    against: str
    prefill: Interval | None
    decode: Interval | None
    energy: Interval | None


def load(path: Path, results: pd.DataFrame) -> tuple[Comparison, ...]:
    """Every comparison among some trials.

    Args:
        path: The store.
        results: Rows as `results.load` gives them.

    Raises:
        StoreError: The store cannot be read.
    """
    found = list(differing_in_one(results))
    if not found:
        return ()
    trials = sorted({row["trial_id"] for pair in found for row in pair})
    measured_of = samples.load(path, trials, _METRICS)
    return tuple(_comparison(row, against, measured_of) for row, against in found)


def _comparison(row: Row, against: Row, found: Samples) -> Comparison:
    def compared(metric: str) -> Interval | None:
        above, below = (found.get((side["trial_id"], metric), {}) for side in (row, against))
        return ratio_of(above, below, seed=f"{row['trial_id']}/{against['trial_id']}")

    alike = row["energy_method"] == against["energy_method"]
    return Comparison(
        **subject_of(row),
        against=against["configuration"],
        prefill=compared("prefill_tok_s"),
        decode=compared("decode_tok_s"),
        energy=compared("decode_j_per_token") if alike else None,
    )
