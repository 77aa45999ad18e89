"""The accuracy in each task of one's own, as a column beside the mean over tasks."""

import json
from collections.abc import Iterable

import pandas as pd

from odllm_controller.analysis.metrics import TASK, Metric

# Of a normal distribution, as of all scores.
_Z_95 = 1.96


def tasks(results: pd.DataFrame) -> tuple[str, ...]:
    """The names of all tasks that a file of some rows was asked, sorted."""
    return tuple(sorted({name for text in results["accuracies"] for name in _parsed(text)}))


def with_tasks(results: pd.DataFrame, metrics: Iterable[Metric]) -> pd.DataFrame:
    """The rows with the columns of those metrics that are tasks.

    Args:
        results: Rows as `results.load` gives them.
        metrics: What will be asked of them; those that are no task are there already.

    Returns:
        The rows, with the value, `_low` and `_high` of each; without both ends where the store
        does not tell the standard error.
    """
    columns: dict[str, pd.Series] = {}
    for metric in metrics:
        if metric.name.startswith(TASK):
            columns |= _columns(results, metric)
    return results.assign(**columns)


def _columns(results: pd.DataFrame, metric: Metric) -> dict[str, pd.Series]:
    task = metric.name.removeprefix(TASK)
    value = _of_task(results, "accuracies", task)
    margin = _Z_95 * _of_task(results, "accuracies_se", task)
    return {metric.name: value, metric.low: value - margin, metric.high: value + margin}


def _of_task(results: pd.DataFrame, column: str, task: str) -> pd.Series:
    texts = results[column] if column in results else [None] * len(results)
    values = [_parsed(text).get(task) for text in texts]
    return pd.Series(values, index=results.index, dtype="float64")


def _parsed(text: object) -> dict[str, float | None]:
    parsed: dict[str, float | None] = json.loads(text) if isinstance(text, str) else {}
    return parsed
