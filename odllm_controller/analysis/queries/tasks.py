"""The accuracy in each task of one's own, as a column beside the mean over tasks."""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from odllm_controller import store
from odllm_controller.analysis.queries.results import Z_95
from odllm_controller.metrics import TASK, Metric

# Of a normal distribution, as of all scores.
_CHECKED = ["device_id", "model_sha256", "engine"]
# Of each task the check that the view `results` tells the accuracy of: the latest with a figure.
_ERRORS = """
SELECT device_id, model_sha256, engine,
    json_group_object(subject, standard_error) AS accuracies_se
FROM (
    SELECT quality.*
    FROM quality
    JOIN runs USING (run_id)
    WHERE kind = 'task' AND metric = 'accuracy' AND value IS NOT NULL
    QUALIFY 1 = row_number() OVER (
        PARTITION BY device_id, model_sha256, engine, subject
        ORDER BY runs.started_at DESC, check_id
    )
)
GROUP BY ALL
"""


def tasks(results: pd.DataFrame) -> tuple[str, ...]:
    """The names of all tasks that a file of some rows was asked, sorted."""
    return tuple(sorted({name for text in results["accuracies"] for name in _parsed(text)}))


def with_errors(path: Path, results: pd.DataFrame) -> pd.DataFrame:
    """The rows with the standard error of each task's accuracy, as JSON in `accuracies_se`.

    Args:
        path: The store.
        results: Rows as `results.load` gives them.

    Raises:
        StoreError: The store cannot be read.
    """
    keys = results[_CHECKED].reset_index(drop=True)
    found = keys.merge(store.read(path, _ERRORS), on=_CHECKED, how="left")
    return results.assign(accuracies_se=found["accuracies_se"].to_numpy())


def with_tasks(results: pd.DataFrame, metrics: Iterable[Metric]) -> pd.DataFrame:
    """The rows with the columns of those metrics that are tasks.

    Args:
        results: Rows as `results.load` gives them.
        metrics: What will be asked of them; those that are no task are there already.

    Returns:
        The rows, with the value, `_low` and `_high` of each; without both ends where there is no
        standard error, or `with_errors` did not add it.
    """
    columns: dict[str, pd.Series] = {}
    for metric in metrics:
        if metric.name.startswith(TASK):
            columns |= _columns(results, metric)
    return results.assign(**columns)


def _columns(results: pd.DataFrame, metric: Metric) -> dict[str, pd.Series]:
    task = metric.name.removeprefix(TASK)
    value = _of_task(results, "accuracies", task)
    margin = Z_95 * _of_task(results, "accuracies_se", task)
    return {metric.name: value, metric.low: value - margin, metric.high: value + margin}


def _of_task(results: pd.DataFrame, column: str, task: str) -> pd.Series:
    texts = results[column] if column in results else [None] * len(results)
    values = [_parsed(text).get(task) for text in texts]
    return pd.Series(values, index=results.index, dtype="float64")


def _parsed(text: object) -> dict[str, float | None]:
    parsed: dict[str, float | None] = json.loads(text) if isinstance(text, str) else {}
    return parsed
