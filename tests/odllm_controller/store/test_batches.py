"""Many results at once are stored as they would be one by one."""

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from odllm_agent.contract import Phase, RoundResult, Work
from odllm_controller.store import read
from tests import stores, support

# Numbers of rounds are given in the order of storing; what belongs to them follows in order too.
TABLES = {
    "rounds": "trial_id, round, started_at",
    "repeats": "round_id, repeat",
    "token_times": "round_id, repeat, position",
    "energy": "round_id, repeat, phase",
    "device_states": "round_id, repeat, moment",
    "work": "trial_id, phase, type",
    "failures": "failure_id",
    "trials": "trial_id",
    "models": "sha256",
    "summaries": "trial_id",
}
TRIALS = tuple(
    support.trial(support.model_file(quantization=quantization)) for quantization in ("Q4_0", "F16")
)


def attempt(trial: int, number: int, minute: int, *, failed: bool = False) -> RoundResult:
    """A round of one of two trials, begun at some minute, its speed its own."""
    of = TRIALS[trial]
    if failed:
        result = support.failed_round(of, number)
    else:
        token_s = 0.01 + 0.001 * number + 0.0001 * minute
        repeats = tuple(support.repeat(i, token_s=token_s + 0.0001 * i) for i in (1, 2, 3))
        result = support.round_result(of, number, repeats)
        result = support.worked(result, Work(Phase.DECODE, f"type-{trial}", 1e6, 1e6))
    return replace(result, started_at=result.started_at + timedelta(minutes=minute))


def contents(path: Path) -> dict[str, pd.DataFrame]:
    return {table: read(path, f"FROM {table} ORDER BY {by}") for table, by in TABLES.items()}


def test_batches_leave_what_single_results_leave(tmp_path: Path) -> None:
    attempts = [
        attempt(0, 0, 0),
        attempt(0, 1, 0, failed=True),
        attempt(1, 0, 0),
        attempt(0, 0, 0),
        attempt(0, 0, 1),
        attempt(0, 1, 0, failed=True),
        attempt(0, 1, 1),
        attempt(0, 1, 2, failed=True),
        attempt(1, 1, 1, failed=True),
        attempt(0, 2, 2),
        attempt(0, 3, 0),
    ]
    cuts = (0, 2, 2, 9)
    singly = stores.begun(tmp_path / "singly.duckdb")
    batched = stores.begun(tmp_path / "batched.duckdb")
    for result in attempts:
        singly.add_round("run-1", result)
    for start, end in itertools.pairwise((*cuts, None)):
        batched.add_results("run-1", attempts[start:end])
    expected = contents(singly.path)
    for table, found in contents(batched.path).items():
        pd.testing.assert_frame_equal(found, expected[table], obj=table)


def test_results_of_every_kind_go_in_together(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    mixed = (
        support.baseline(idle_w=4.0),
        support.round_result(),
        support.ceilings(read=2e10),
        support.quality_result(),
    )
    for _ in range(2):
        store.add_results("run-1", mixed)
    (row,) = read(store.path, "SELECT * FROM results").to_dict("records")
    assert row["decode_tok_s"] == pytest.approx(100.0)
    assert row["perplexity"] == 12.5
    for table in ("baselines", "rounds", "ceilings", "quality"):
        assert len(read(store.path, f"FROM {table}")) == 1, table


def test_a_batch_that_cannot_be_stored_leaves_nothing(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    good = support.round_result()
    bad = replace(support.round_result(TRIALS[1]), wall_s="a while")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="a while"):
        store.add_results("run-1", [good, bad])
    assert read(store.path, "FROM rounds").empty
    assert read(store.path, "FROM trials").empty
