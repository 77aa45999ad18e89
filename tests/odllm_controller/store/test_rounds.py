"""What goes into the store comes out of it: once, whole, and raw."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from odllm_agent.contract import Failure, ModelRequest, Quantization, RoundResult, Score, Source
from odllm_controller.store import Store, read
from tests import stores, support

LOST = Failure("ModelMissing", "no file at /models/x.gguf", "put it there", log="last line")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def count(path: Path, table: str) -> int:
    return int(read(path, f"SELECT count(*) AS n FROM {table}")["n"][0])


def again(result: RoundResult, seconds: float = 60) -> RoundResult:
    """The same round, tried later."""
    return replace(result, started_at=result.started_at + timedelta(seconds=seconds))


def test_a_round_keeps_every_raw_value(path: Path) -> None:
    repeats = (
        support.repeat(
            1, token_s=0.02, flags=("busy", "hot"), energy=support.some_energy(3.0, 5.0)
        ),
        support.repeat(
            2,
            after=support.state(temperature_c=None, throttle_count=7, quota_throttle_count=45),
        ),
    )
    result = support.round_result(repeats=repeats)
    stores.measured(path, result)

    stored = read(path, "SELECT * FROM repeats ORDER BY repeat").to_dict("records")
    assert [row["repeat"] for row in stored] == [0, 1, 2]
    assert [row["warmup"] for row in stored] == [True, False, False]
    assert [row["prefill_s"] for row in stored] == [each.prefill_s for each in result.repeats]
    assert list(stored[1]["flags"]) == ["busy", "hot"]
    assert stored[1]["started_at"].to_pydatetime() == repeats[0].started_at.replace(tzinfo=None)

    tokens = read(path, "SELECT token_s FROM token_times ORDER BY repeat, position")["token_s"]
    assert tokens.tolist() == [time for each in result.repeats for time in each.token_s]

    energy = read(
        path, "SELECT * FROM energy WHERE repeat IS NOT NULL ORDER BY repeat, phase DESC"
    ).to_dict("records")
    assert [row["energy_j"] for row in energy[2:4]] == [3.0, 5.0]
    assert [row["method"] for row in energy[:4]] == ["unavailable"] * 2 + ["measured"] * 2
    assert energy[0]["energy_j"] != energy[0]["energy_j"], "missing energy must not be a number"
    assert energy[0]["reason"] == "no powercap here"

    after = read(path, "SELECT * FROM device_states WHERE moment = 'after' ORDER BY repeat")
    assert after["throttle_count"].tolist() == [0, 0, 7]
    assert after["quota_throttle_count"].tolist() == [0, 0, 45]
    assert after["temperature_c"].isna().tolist() == [False, False, True]


def test_the_run_and_the_device_are_kept_as_they_were(path: Path) -> None:
    store = stores.begun(path)
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_device("run-2", support.device(ram_bytes=32 * 2**30))
    store.end_run("run-1", stores.later(0.5), "done")

    runs = read(path, "SELECT * FROM runs ORDER BY started_at").to_dict("records")
    assert [row["status"] for row in runs] == ["done", "running"]
    assert runs[0]["ended_at"].to_pydatetime() == stores.later(0.5).replace(tzinfo=None)
    assert json.loads(runs[0]["versions"])["duckdb"] == "2.0.0"

    (device,) = read(path, "SELECT * FROM devices").to_dict("records")
    assert device["ram_bytes"] == 32 * 2**30, "the latest description counts"
    described = read(path, "SELECT description FROM run_devices ORDER BY run_id")["description"]
    assert [json.loads(text)["ram_bytes"] for text in described] == [16 * 2**30, 32 * 2**30]


def test_a_whole_round_is_stored_once(path: Path) -> None:
    result = support.round_result()
    store = stores.measured(path, result, result, again(result))
    store.add_round("run-1", again(support.failed_round(result.trial)))
    assert count(path, "rounds") == 1
    assert count(path, "token_times") == 4 * 64
    assert count(path, "failures") == 0


def test_a_failed_round_stays_beside_the_one_that_worked(path: Path) -> None:
    failed = support.failed_round()
    stores.measured(path, failed, failed, again(failed), again(support.round_result(), 120))
    rounds = read(path, "SELECT stopped, complete FROM rounds ORDER BY started_at")
    assert rounds["complete"].tolist() == [False, False, True]
    assert rounds["stopped"].tolist() == ["failed", "failed", "cap"]
    failures = read(path, "SELECT * FROM failures").to_dict("records")
    assert [row["signal"] for row in failures] == ["SIGKILL", "SIGKILL"]
    assert {row["stage"] for row in failures} == {"measure"}
    assert count(path, "repeats") == 1 + 1 + 4


def test_only_whole_rounds_are_finished(path: Path) -> None:
    first, second = support.trial(), support.trial(threads=4)
    store = stores.measured(
        path,
        support.round_result(first, 0),
        support.round_result(first, 1),
        support.failed_round(second, 0),
        rounds=2,
    )
    ids = [first.id, second.id, "unknown"]
    assert store.finished_rounds(ids) == {(first.id, 0), (first.id, 1)}
    assert store.finished_rounds([second.id]) == frozenset()
    assert store.finished_rounds([]) == frozenset()


def test_earlier_speeds_leave_out_warm_ups_and_failed_rounds(path: Path) -> None:
    trial = support.trial()
    measured = tuple(support.repeat(i, token_s=s) for i, s in ((1, 0.01), (2, 0.02), (3, 0.04)))
    unfinished = support.failed_round(trial, 1)
    unfinished = replace(unfinished, repeats=(*unfinished.repeats, support.repeat(1, token_s=1.0)))
    store = stores.measured(path, support.round_result(trial, 0, measured), unfinished)
    speeds = store.earlier_decode_tok_s([trial.id, "unknown"])
    assert speeds.keys() == {trial.id}
    (only,) = speeds[trial.id]
    assert only == pytest.approx((100.0, 50.0, 25.0))


def test_earlier_speeds_are_told_by_round(path: Path) -> None:
    trial = support.trial()
    slow = tuple(support.repeat(index, token_s=0.02) for index in (1, 2))
    store = stores.measured(path, support.round_result(trial, 1, slow), support.round_result(trial))
    first, second = store.earlier_decode_tok_s([trial.id])[trial.id]
    assert first == pytest.approx((100.0,) * 3)
    assert second == pytest.approx((50.0,) * 2)


def test_the_plan_can_be_stored_twice(path: Path) -> None:
    store = stores.begun(path)
    trials = [support.trial(threads=n) for n in (1, 2, 4)]
    for _ in range(2):
        store.add_plan("run-1", trials, rounds=2)
    assert read(path, "SELECT trial_id FROM planned ORDER BY position")["trial_id"].tolist() == [
        trial.id for trial in trials
    ]
    assert count(path, "trials") == 3
    assert count(path, "models") == 1
    store.add_plan("run-1", [], rounds=2)


def test_a_round_without_a_plan_brings_its_trial_along(path: Path) -> None:
    store = stores.begun(path)
    store.add_round("run-1", support.round_result())
    (row,) = read(path, "SELECT * FROM results").to_dict("records")
    assert (row["status"], row["model"]) == ("done", "reference-1.6M")


def test_a_check_is_finished_once_it_was_carried_out(path: Path) -> None:
    store = stores.begun(path)
    good = support.quality_result()
    bad = replace(good, scores=(), failure=LOST)
    store.add_quality("run-1", bad)
    store.add_quality("run-1", bad)
    assert store.finished_checks([good.check.id]) == frozenset()
    assert count(path, "failures") == 1

    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_quality("run-2", good)
    store.add_quality("run-2", support.quality_result(value=99.0))
    assert store.finished_checks([good.check.id, "unknown"]) == {good.check.id}
    assert read(path, "SELECT value FROM quality")["value"].dropna().tolist() == [12.5]


def test_a_score_that_only_wanted_memory_is_tried_again(path: Path) -> None:
    store = stores.begun(path)
    no_kld = Score("kld", None, None, 0, "no room for it")
    missing = replace(support.quality_result(), scores=(no_kld,))
    for_ever = replace(missing, check=support.quality_check(base=None))
    for_now = replace(
        missing, check=support.quality_check(base=support.model_file(quantization="F16"))
    )
    for result in (for_ever, for_now):
        store.add_quality("run-1", result)
    ids = [for_ever.check.id, for_now.check.id]
    assert store.finished_checks(ids) == {for_ever.check.id}


def test_a_model_that_could_not_be_prepared_is_kept_once_per_run(path: Path) -> None:
    store = stores.begun(path)
    for quantization in (None, None, Quantization("Q4_0")):
        request = ModelRequest("mine", Source.FILE, "/models/x.gguf", quantization)
        store.add_failure("run-1", "id-of-laptop", request, LOST)
    failures = read(path, "SELECT * FROM failures ORDER BY failure_id").to_dict("records")
    assert len(failures) == 2
    assert failures[0]["location"] == "/models/x.gguf"
    assert (failures[1]["quantization"], failures[1]["log"]) == ("Q4_0", "last line")


def test_opening_again_changes_nothing(path: Path) -> None:
    stores.measured(path, support.round_result())
    before = read(path, "SELECT * FROM results")
    assert Store.open(path).path == path
    assert read(path, "SELECT * FROM results").equals(before)


def test_a_relative_path_in_new_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store.open(Path("a/b/odllm.duckdb"))
    assert store.path == tmp_path / "a/b/odllm.duckdb"
    assert read(Path("a/b/odllm.duckdb"), "SELECT * FROM results").empty
