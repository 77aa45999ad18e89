"""Trials that differ in one thing only: the engine, its build or one setting."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from odllm_agent.statistics.bootstrap import Interval
from odllm_controller.analysis.queries.results import Row, build_label, measured, records
from odllm_controller.analysis.statistics import samples
from odllm_controller.analysis.statistics.samples import Samples, ratio_of

_ENGINE, _BUILD = "engine", "build"
_METRICS = ("prefill_tok_s", "decode_tok_s", "decode_j_per_token")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One configuration against another, for one model file and workload on one device.

    Attributes:
        device: The device's name.
        model: The model's name.
        quantization: The type of its weights.
        workload_label: The workload with its sizes.
        configuration: The engine with its settings.
        against: The same, of what it is compared with.
        prefill: How many times as fast prefill is.
        decode: How many times as fast decode is.
        energy: How many times as much energy a decoded token takes; `None` where one side has
            none, or both have it by different methods.
    """

    device: str
    model: str
    quantization: str
    workload_label: str
    configuration: str
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
    found = list(pairs(results))
    if not found:
        return ()
    trials = sorted({row["trial_id"] for pair in found for row in pair})
    measured_of = samples.load(path, trials, _METRICS)
    return tuple(_comparison(row, against, measured_of) for row, against in found)


def pairs(results: pd.DataFrame) -> Iterator[tuple[Row, Row]]:
    """Every measured row with the first one that differs from it in the engine or one setting.

    Args:
        results: Rows as `results.load` gives them.
    """
    subject = ["device_id", "model", "quantization", "workload_label"]
    for _, alike in measured(results).groupby(subject, sort=False):
        rows = records(alike)
        for place, row in enumerate(rows):
            for against in _first_of_each_difference(row, rows[:place]):
                yield row, against


def _first_of_each_difference(row: Row, earlier: Sequence[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for other in earlier:
        difference = _difference(row, other)
        if difference:
            found.setdefault(difference, other)
    return list(found.values())


def _difference(row: Row, other: Row) -> str | None:
    """What two rows differ in, if it is one thing; of two engines the settings they share count."""
    mine, others = json.loads(row["settings"]), json.loads(other["settings"])
    differing = [name for name in mine.keys() & others.keys() if mine[name] != others[name]]
    if row["engine"] != other["engine"]:
        differing.append(_ENGINE)
    elif build_label(row) != build_label(other):
        differing.append(_BUILD)
    return differing[0] if len(differing) == 1 else None


def _comparison(row: Row, against: Row, found: Samples) -> Comparison:
    def compared(metric: str) -> Interval | None:
        above, below = (found.get((side["trial_id"], metric), {}) for side in (row, against))
        return ratio_of(above, below, seed=f"{row['trial_id']}/{against['trial_id']}")

    alike = row["energy_method"] == against["energy_method"]
    return Comparison(
        device=row["device"],
        model=row["model"],
        quantization=row["quantization"],
        workload_label=row["workload_label"],
        configuration=row["configuration"],
        against=against["configuration"],
        prefill=compared("prefill_tok_s"),
        decode=compared("decode_tok_s"),
        energy=compared("decode_j_per_token") if alike else None,
    )
