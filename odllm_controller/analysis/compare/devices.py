"""The same trial on two devices: how many times as large a metric is on one as on the other.

`matching.pairs` tells which trials are the same.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from odllm_controller.analysis.matching.pairs import MODEL_TYPE_AND_WORKLOAD, of_devices
from odllm_controller.analysis.queries.origins import origins
from odllm_controller.analysis.queries.results import measured
from odllm_controller.analysis.queries.subject import Subject, subject_of
from odllm_controller.metrics import Metric

_ORIGIN = "origin_of_figure"
_NEEDED = [
    "device",
    *MODEL_TYPE_AND_WORKLOAD,
    "engine",
    "configuration",
    "energy_method",
    "file_bpw",
]


@dataclass(frozen=True, slots=True)
class DeviceRatio(Subject):
    """One trial on a device against the same on another.

    Attributes:
        base: The device that it is compared with.
        base_configuration: The engine with its settings, on the other.
        metric: The metric's name.
        file_bpw: Bits per weight of the file on the device.
        origin: Where the device's figure comes from.
        value: The metric on the device, in its column's unit.
        base_value: The metric on the other.
        ratio: The first divided by the second.
        low: The lower end of the ratio's 95 % interval; `None` where one of the two has none.
        high: The upper end.
    """

    base: str
    base_configuration: str
    metric: str
    file_bpw: float
    origin: str
    value: float
    base_value: float
    ratio: float
    low: float | None
    high: float | None


def device_ratios(results: pd.DataFrame, metric: Metric, base: str) -> tuple[DeviceRatio, ...]:
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
        _ratio(metric, pair)
        for _, mine in rows[rows["device"] != base].groupby("device", sort=False)
        for pair in of_devices(mine, theirs, metric).to_dict("records")
    )


def shared_devices(results: pd.DataFrame) -> tuple[str, ...]:
    """The devices that have a trial in common with another, by model, type, workload and engine."""
    rows = measured(results)
    by_cell = rows.groupby([*MODEL_TYPE_AND_WORKLOAD, "engine"])["device"]
    return tuple(dict.fromkeys(rows["device"][by_cell.transform("nunique") > 1]))


def _ratio(metric: Metric, pair: dict[Any, Any]) -> DeviceRatio:
    value, base_value = float(pair[metric.name]), float(pair[f"{metric.name}_base"])
    ratio = value / base_value
    # The half width of the interval on the log scale: both sides' own, independent.
    halves = list(_halves(metric, pair))
    margin = math.hypot(*halves) if len(halves) == 2 else None
    return DeviceRatio(
        **subject_of(pair),
        base=pair["device_base"],
        base_configuration=pair["configuration_base"],
        metric=metric.name,
        file_bpw=pair["file_bpw"],
        origin=pair[_ORIGIN],
        value=value,
        base_value=base_value,
        ratio=ratio,
        low=None if margin is None else ratio * math.exp(-margin),
        high=None if margin is None else ratio * math.exp(margin),
    )


def _halves(metric: Metric, pair: dict[Any, Any]) -> Iterator[float]:
    for side in ("", "_base"):
        low, high = pair.get(f"{metric.low}{side}"), pair.get(f"{metric.high}{side}")
        if low is not None and high is not None and low > 0 and not math.isnan(high):
            yield math.log(high / low) / 2
