"""Stores for the tests: what a run leaves behind, without the run."""

from datetime import datetime, timedelta
from pathlib import Path

from odllm_agent.contract import Device, RoundResult
from odllm_controller.store import Run, Store
from tests import support


def run(run_id: str = "run-1", started_at: datetime = support.STARTED) -> Run:
    """A run of the sweep."""
    return Run(
        id=run_id,
        started_at=started_at,
        experiment="sweep",
        command="odllm run +experiment=sweep",
        config_yaml="name: sweep\n",
        seed=1,
        versions={"python": "3.11.7", "duckdb": "2.0.0"},
        git_commit=None,
    )


def later(hours: float) -> datetime:
    """A moment some hours after the first run began."""
    return support.STARTED + timedelta(hours=hours)


def begun(path: Path, *devices: Device) -> Store:
    """A store with one run under way on the given devices, or on one laptop."""
    store = Store.open(path)
    store.add_run(run())
    for device in devices or (support.device(),):
        store.add_device("run-1", device)
    return store


def measured(path: Path, *results: RoundResult, rounds: int = 1) -> Store:
    """A store with one run that planned and measured the given rounds."""
    store = begun(path)
    trials = {result.trial.id: result.trial for result in results}
    store.add_plan("run-1", tuple(trials.values()), rounds)
    for result in results:
        store.add_round("run-1", result)
    return store
