"""Which scores may be compared: those of the same text, or of the same tasks."""

import json

import pandas as pd


def asked(rows: pd.DataFrame, quality: str) -> "pd.Series[str]":
    """What a score was computed on, for each row: a text's name, or the names of the tasks.

    Args:
        rows: Rows of `results`.
        quality: The score's metric.
    """
    if quality == "accuracy":
        return rows["accuracies"].map(_tasks)
    return rows["quality_text"].fillna("")


def _tasks(accuracies: object) -> str:
    return ", ".join(sorted(json.loads(accuracies))) if isinstance(accuracies, str) else ""
