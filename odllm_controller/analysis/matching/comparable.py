"""Which figures of a metric may stand beside each other, and why the others may not.

Energy that was measured is never set against energy that was estimated, nor a score on one text
or set of tasks against a score on another.
"""

import json
from collections.abc import Callable, Mapping

import pandas as pd

from odllm_agent.contract import Method
from odllm_controller.metrics import Basis, Group, Metric

_METHODS = (Method.MEASURED, Method.ESTIMATED)


def why_not(rows: pd.DataFrame, metric: Metric) -> pd.Series:
    """Why each row's figure cannot be set against those of the others.

    Where figures of two origins meet, those that are measured count before those that are
    estimated, and else those of which there are most.

    Args:
        rows: Rows as `results.load` gives them, of one device and workload.
        metric: What is compared; its column is there.

    Returns:
        A reason per row, `""` where nothing speaks against it.
    """
    missing = rows[metric.name].isna()
    if not missing.any() and not _may_differ(rows, metric):
        return pd.Series("", index=rows.index, dtype="str")
    found = sources(rows, metric)
    kept = _kept(found[~missing])
    others = f"{metric.label}: its figure is " + found + f", those of others {kept}"
    comparable = others.where(found != kept, "")
    return comparable.where(~missing, _missing(rows, metric))


def _may_differ(rows: pd.DataFrame, metric: Metric) -> bool:
    column, _ = _ORIGINS.get(_kind(metric), ("", str))
    return column in rows and rows[column].nunique(dropna=False) > 1


def _missing(rows: pd.DataFrame, metric: Metric) -> pd.Series:
    generally = pd.Series(metric.missing, index=rows.index, dtype="str")
    told = rows.get(metric.reason, generally)
    return f"{metric.label}: " + told.replace("", None).fillna(metric.missing).astype("str")


def sources(rows: pd.DataFrame, metric: Metric) -> pd.Series:
    """What each figure comes from, in words; the same for all where that cannot differ.

    Args:
        rows: Rows as `results.load` gives them.
        metric: What is compared.
    """
    column, told = _ORIGINS.get(_kind(metric), ("", str))
    if column not in rows:
        return pd.Series("", index=rows.index, dtype="str")
    return pd.Series([told(value) for value in rows[column]], index=rows.index, dtype="str")


def _kept(origins: pd.Series) -> str:
    for method in _METHODS:
        if method in set(origins):
            return str(method)
    return str(origins.mode().iloc[0]) if len(origins) else ""


def _kind(metric: Metric) -> str:
    if metric.group is Group.ENERGY:
        return "energy"
    if metric.basis is not Basis.CHECK:
        return ""
    return metric.name if metric.name.startswith("accuracy") else "text"


def _text(value: object) -> str:
    return f"of the text {value}" if isinstance(value, str) else "of an untold text"


def _tasks(value: object) -> str:
    names = sorted(json.loads(value)) if isinstance(value, str) else []
    return f"over {', '.join(names)}" if names else "over untold tasks"


_ORIGINS: Mapping[str, tuple[str, Callable[[object], str]]] = {
    "energy": ("energy_method", str),
    "accuracy": ("accuracies", _tasks),
    "text": ("quality_text", _text),
}
