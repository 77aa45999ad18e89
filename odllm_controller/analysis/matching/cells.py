"""The same trial on two devices: how many times as large a metric is on one as on the other.

Two trials are the same if model, type, workload and the engine with all its settings are. Where two
devices share no settings, as when each uses its own number of threads, and each has just one
configuration of the engine, these two are set against each other; a cell tells both.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from odllm_controller.analysis.queries.origins import origins
from odllm_controller.analysis.queries.results import measured
from odllm_controller.metrics import Group, Metric

_ORIGIN = "origin_of_figure"
_SAME = ["model", "quantization", "workload_label"]
_NEEDED = ["device", *_SAME, "engine", "configuration", "energy_method", "file_bpw"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One trial on a device against the same on another.

    Attributes:
        device: The device.
        base: The device that it is compared with.
        model: The model's name.
        quantization: The type of its weights.
        workload_label: The workload with its sizes.
        configuration: The engine with its settings, on the device.
        base_configuration: The same, on the other.
        metric: The metric's name.
        file_bpw: Bits per weight of the file on the device.
        origin: Where the device's figure comes from.
        value: The metric on the device, in its column's unit.
        base_value: The metric on the other.
        ratio: The first divided by the second.
        low: The lower end of the ratio's 95 % interval; `None` where one of the two has none.
        high: The upper end.
    """

    device: str
    base: str
    model: str
    quantization: str
    workload_label: str
    configuration: str
    base_configuration: str
    metric: str
    file_bpw: float
    origin: str
    value: float
    base_value: float
    ratio: float
    low: float | None
    high: float | None


def cells(results: pd.DataFrame, metric: Metric, base: str) -> tuple[Cell, ...]:
    """Every device against one of them, cell by cell, in the order of the rows.

    Energy by different methods is never compared, nor what is not above 0.

    Args:
        results: Rows as `results.load` gives them.
        metric: What to compare.
        base: The device that the others are compared with.
    """
    rows = measured(results)
    rows = rows[rows[metric.name] > 0]
    ends = [name for name in (metric.low, metric.high) if name in rows]
    rows = rows[[*_NEEDED, metric.name, *ends]].assign(**{_ORIGIN: origins(rows, metric)})
    theirs = rows[rows["device"] == base]
    return tuple(
        _cell(metric, pair)
        for _, mine in rows[rows["device"] != base].groupby("device", sort=False)
        for pair in _pairs(mine, theirs, metric).to_dict("records")
    )


def shared_devices(results: pd.DataFrame) -> tuple[str, ...]:
    """The devices that have a trial in common with another, by model, type, workload and engine."""
    rows = measured(results)
    by_cell = rows.groupby([*_SAME, "engine"])["device"]
    return tuple(dict.fromkeys(rows["device"][by_cell.transform("nunique") > 1]))


def _pairs(mine: pd.DataFrame, theirs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """A row per cell, with the columns of both; those of the base end in `_base`."""
    alike = ["energy_method"] if metric.group is Group.ENERGY else []
    same = [*_SAME, "engine", *alike]
    exact = mine.merge(theirs, on=[*same, "configuration"], suffixes=("", "_base"))
    if len(exact):
        return exact.assign(configuration_base=exact["configuration"])
    return _only(mine, same).merge(_only(theirs, same), on=same, suffixes=("", "_base"))


def _only(rows: pd.DataFrame, same: Sequence[str]) -> pd.DataFrame:
    """The rows of cells of which there is one configuration."""
    return rows[~rows.duplicated(list(same), keep=False)]


def _cell(metric: Metric, pair: dict[Any, Any]) -> Cell:
    value, base_value = float(pair[metric.name]), float(pair[f"{metric.name}_base"])
    ratio = value / base_value
    margin = _margin(metric, pair)
    return Cell(
        pair["device"],
        pair["device_base"],
        pair["model"],
        pair["quantization"],
        pair["workload_label"],
        pair["configuration"],
        pair["configuration_base"],
        metric.name,
        pair["file_bpw"],
        pair[_ORIGIN],
        value,
        base_value,
        ratio,
        None if margin is None else ratio * math.exp(-margin),
        None if margin is None else ratio * math.exp(margin),
    )


def _margin(metric: Metric, pair: dict[Any, Any]) -> float | None:
    """The half width of the ratio's interval on the log scale: both sides' own, independent."""
    halves = list(_halves(metric, pair))
    return math.hypot(*halves) if len(halves) == 2 else None


def _halves(metric: Metric, pair: dict[Any, Any]) -> Iterator[float]:
    for side in ("", "_base"):
        low, high = pair.get(f"{metric.low}{side}"), pair.get(f"{metric.high}{side}")
        if low is not None and high is not None and low > 0 and not math.isnan(high):
            yield math.log(high / low) / 2
