"""The overhead of a stored sweep."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.sweep import last_sweep
from odllm_controller.store import Store
from tests import stores, support


def sweep(path: Path, status: str, experiment: str = "sweep") -> None:
    """A run of 100 s with a round of 2 s: 0.5 s of load, four windows of 0.101 + 0.192 s."""
    run = replace(stores.run(), experiment=experiment)
    repeats = tuple(support.repeat(index, token_s=0.003) for index in range(1, 4))
    result = support.round_result(repeats=repeats)
    warmup = support.repeat(0, warmup=True, token_s=0.003)
    store = Store.open(path)
    store.add_run(run)
    store.add_round(run.id, replace(result, repeats=(warmup, *repeats)))
    store.end_run(run.id, run.started_at + timedelta(seconds=100), status)


def test_overhead_is_what_load_and_windows_leave_of_the_workers(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    sweep(path, "done")
    found = last_sweep(path)
    assert found is not None
    assert (found.n_trials, found.n_rounds) == (1, 1)
    assert found.wall_s == pytest.approx(100)
    assert found.workers_s == pytest.approx(2.0)
    assert found.overhead_s == pytest.approx(2.0 - 0.5 - 4 * (0.101 + 0.192))
    assert found.share == pytest.approx(found.overhead_s / 100)


@pytest.mark.parametrize(
    ("status", "experiment"), [("interrupted", "sweep"), ("done", "smoke"), ("running", "sweep")]
)
def test_only_a_whole_sweep_counts(tmp_path: Path, status: str, experiment: str) -> None:
    sweep(tmp_path / "odllm.duckdb", status, experiment)
    assert last_sweep(tmp_path / "odllm.duckdb") is None


def test_without_a_store_there_is_no_sweep(tmp_path: Path) -> None:
    assert last_sweep(tmp_path / "none.duckdb") is None
