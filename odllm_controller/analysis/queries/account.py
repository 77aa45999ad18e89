"""What a run was: who started it, with which settings, on which devices."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from odllm_agent.contract import Device, from_json
from odllm_agent.errors import UsageError
from odllm_controller import store

_RUNS = "SELECT run_id FROM runs ORDER BY started_at, run_id"
_RUN = "SELECT * FROM runs WHERE run_id = ?"
_DEVICES = "SELECT description FROM run_devices WHERE run_id = ? ORDER BY device_id"


@dataclass(frozen=True, slots=True)
class Account:
    """A run, and the devices that took part in it as they were then.

    Attributes:
        run: Its name in the store.
        experiment: The experiment's name.
        status: How it ended, or `running`.
        started_at: When it began, in UTC.
        ended_at: When it ended, in UTC, or `None`.
        command: The command line that started it.
        config_yaml: The whole resolved config.
        seed: What orders and token ids were drawn from.
        versions: Of Python and of the controller's packages, by name.
        git_commit: Of the checkout that the controller ran from, if it did.
        devices: Those that took part.
    """

    run: str
    experiment: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    command: str
    config_yaml: str
    seed: int
    versions: Mapping[str, str]
    git_commit: str | None
    devices: tuple[Device, ...]


def find(path: Path, run: str | None) -> str:
    """The name of a run.

    Args:
        path: The store.
        run: Its name; the latest unless told.

    Raises:
        StoreError: The store cannot be read.
        UsageError: There is no such run, or none at all.
    """
    runs = [str(each) for each in store.read(path, _RUNS)["run_id"]]
    if not runs:
        raise UsageError(f"{path} holds no run", "run an experiment into it first")
    if run is None:
        return runs[-1]
    if run not in runs:
        near = difflib.get_close_matches(run, runs, n=1) or runs[-1:]
        raise UsageError(f"{path} has no run {run}", f"the nearest is {near[0]}")
    return run


def load(path: Path, run: str) -> Account:
    """What a run was.

    Args:
        path: The store.
        run: Its name; see `find`.

    Raises:
        StoreError: The store cannot be read.
    """
    (row,) = store.read(path, _RUN, [run]).to_dict("records")
    devices = store.read(path, _DEVICES, [run])["description"]
    return Account(
        run=run,
        experiment=row["experiment"],
        status=row["status"],
        started_at=row["started_at"],
        ended_at=None if pd.isna(row["ended_at"]) else row["ended_at"],
        command=row["command"],
        config_yaml=row["config_yaml"],
        seed=int(row["seed"]),
        versions=json.loads(row["versions"]),
        git_commit=None if pd.isna(row["git_commit"]) else row["git_commit"],
        devices=tuple(from_json(Device, text) for text in devices),
    )
