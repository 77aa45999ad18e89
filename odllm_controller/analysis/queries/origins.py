"""Where figures come from: measured, or something else that must never be taken for measured."""

from enum import StrEnum

import pandas as pd

from odllm_agent.contract import DeviceKind, Method
from odllm_controller.metrics import METRICS, Group, Metric

_OWN = "odllm"


class FigureOrigin(StrEnum):
    """Where a figure comes from."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    VIRTUAL = "virtual"
    SIMULATED = "simulated"
    IMPORTED = "imported"
    PREDICTED = "predicted"
    PUBLISHED = "published"


_KINDS = {DeviceKind.VIRTUAL: FigureOrigin.VIRTUAL, DeviceKind.SIMULATED: FigureOrigin.SIMULATED}


def of_kind(kind: DeviceKind | str, *, predicted: bool = False) -> FigureOrigin:
    """Where a figure of a device comes from, which was measured there unless it was predicted."""
    return (
        FigureOrigin.PREDICTED if predicted else _KINDS.get(DeviceKind(kind), FigureOrigin.MEASURED)
    )


def origins(results: pd.DataFrame, metric: Metric) -> pd.Series:
    """Where each row's figure of a metric comes from.

    What is furthest from a measurement on a real device counts: an estimate on a virtual device is
    an estimate.

    Args:
        results: Rows as `results.load` gives them.
        metric: The metric.
    """
    found = results["device_kind"].map(_KINDS).fillna(FigureOrigin.MEASURED)
    if "origin" in results:
        found = found.where(results["origin"] == _OWN, FigureOrigin.IMPORTED)
    if metric.group is Group.ENERGY:
        found = found.where(results["energy_method"] != Method.ESTIMATED, FigureOrigin.ESTIMATED)
    return found.astype(str)


def all_origins(results: pd.DataFrame) -> frozenset[str]:
    """Where any figure of some rows comes from, whatever its metric.

    Args:
        results: Rows as `results.load` gives them.
    """
    one_of_each = {metric.group is Group.ENERGY: metric for metric in METRICS}.values()
    return frozenset().union(*(origins(results, metric) for metric in one_of_each))
