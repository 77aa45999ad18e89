"""Which rows are of one cell: figures of one subject, of which only the newest count."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from odllm_controller.analysis.queries.results import measured
from odllm_controller.analysis.queries.subject import SUBJECT

# What tells figures of one subject apart: the version of the engine, the file, the seed.
_APART: Mapping[str, Callable[[Any], str]] = {
    "engine_version": ", {}".format,
    "model_sha256": ", file {:.8}".format,
    "seed": ", seed {:.0f}".format,
}


def latest(results: pd.DataFrame) -> pd.DataFrame:
    """The rows that have figures; of those that `told_apart` has to tell apart only the newest."""
    rows = measured(results)
    cells = rows[[*SUBJECT, "run_started_at"]].reset_index(drop=True)
    in_time = cells.sort_values("run_started_at", kind="stable", na_position="first")
    return rows.iloc[in_time.drop_duplicates(SUBJECT, keep="last").index.sort_values()]


def told_apart(results: pd.DataFrame) -> pd.Series:
    """The configuration of each row, with what tells it from others that otherwise look alike.

    That is the version of the engine, the file or the seed, where rows of one cell differ in it.
    """
    configuration = results["configuration"]
    cells = results.groupby(SUBJECT, dropna=False)
    for column, tell in _APART.items():
        if column in results:
            told = results[column].map(tell, na_action="ignore").astype("str").fillna("")
            several = cells[column].transform("nunique", dropna=False) > 1
            configuration = configuration + told.where(several, "")
    return configuration
