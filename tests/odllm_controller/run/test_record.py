import contextlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from odllm_agent.contract import (
    Entry,
    Event,
    EventKind,
    Failure,
    ModelRequest,
    Source,
    Tag,
    Trial,
)
from odllm_agent.errors import StoreError
from odllm_agent.failures import LeftOut
from odllm_controller import store
from odllm_controller.experiment.provenance import config_yaml
from odllm_controller.overrides.writing import override
from odllm_controller.run.record import Recorder, recording
from odllm_controller.store import Store, controlling
from tests import support
from tests.odllm_controller.configs import experiment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


@pytest.fixture
def recorder(path: Path) -> Recorder:
    recorder = Recorder(Store.open(path), experiment("seed=7"))
    recorder.joined(support.device())
    recorder.plan([support.trial()])
    return recorder


@pytest.mark.parametrize("name", ["/m/a${.gguf", "/m/${HOME}.gguf", "/m/é: 'x'\n- y.gguf"])
def test_a_path_that_looks_like_something_else_is_in_the_config_as_it_is(name: str) -> None:
    asked = experiment("model=[file]", override("models.file.path", name))
    found = yaml.safe_load(config_yaml(asked))
    assert found["models"]["file"]["path"] == str(asked.models["file"].path)
    assert found["models"]["file"]["path"].endswith(name)


def test_a_run_says_what_it_was(path: Path, recorder: Recorder) -> None:
    (run,) = store.read(path, "SELECT * FROM runs").to_dict("records")
    assert run["run_id"] == recorder.run_id
    assert (run["experiment"], run["seed"], run["status"]) == ("bare", 7, "running")
    assert OmegaConf.create(run["config_yaml"]).repeats.at_most == 10
    assert {"python", "odllm", "ray", "duckdb"} <= set(json.loads(run["versions"]))
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert str(run["git_commit"]).startswith(head.stdout.strip())


def test_results_are_stored_and_failures_remembered(path: Path, recorder: Recorder) -> None:
    recorder.result(support.round_result())
    recorder.result(support.failed_round(round_index=1))
    recorder.result(support.quality_result())
    assert len(store.read(path, "SELECT * FROM rounds")) == 0
    recorder.flush()
    assert len(store.read(path, "SELECT * FROM rounds WHERE complete")) == 1
    assert len(store.read(path, "SELECT * FROM quality")) == 1
    (failure,) = recorder.failures
    assert failure.startswith("reference-1.6M Q4_0, round 2 on laptop: ")
    assert "the worker was killed" in failure
    assert "try again" in failure


def test_a_device_at_rest_is_stored_with_the_run(path: Path, recorder: Recorder) -> None:
    recorder.result(support.baseline(idle_w=2.0))
    failure = Failure("DispatchError", "the agent was lost", "again")
    lost = support.baseline(1, started_at=support.STARTED, own_bytes=None, failure=failure)
    recorder.result(lost)
    recorder.flush()
    found = store.read(path, "SELECT * FROM baselines ORDER BY round").to_dict("records")
    assert [row["run_id"] for row in found] == [recorder.run_id] * 2
    assert (found[0]["own_cores"], found[0]["own_bytes"], found[0]["reason"]) == (0.04, 2e8, "")
    assert found[1]["reason"] == "the agent was lost"
    (idle,) = store.read(path, "SELECT * FROM idle_energy").to_dict("records")
    assert (idle["energy_j"], idle["window_s"], idle["method"]) == (10.0, 5.0, "measured")
    assert recorder.failures == ["the rest before round 2 on laptop: the agent was lost\n    again"]


def test_a_model_that_could_not_be_prepared_is_stored_and_named(
    path: Path, recorder: Recorder
) -> None:
    request = ModelRequest("mine", Source.FILE, "/none.gguf")
    recorder.unprepared(support.device(), request, Failure("ModelMissing", "no file", "look"))
    assert recorder.failures == ["mine as it is on laptop: no file\n    look"]
    (row,) = store.read(path, "SELECT * FROM failures").to_dict("records")
    assert (row["model"], row["kind"]) == ("mine", "ModelMissing")


def test_failures_of_one_cause_are_told_once_and_others_apart(recorder: Recorder) -> None:
    for index in range(75):
        recorder.result(support.failed_round(support.trial(threads=1 + index % 9), index // 9))
    check = support.quality_check()
    recorder.result(check.failed(Failure("WorkerDied", "ended", signal="SIGKILL")))
    recorder.result(support.baseline(failure=Failure("DispatchError", "lost", "again")))
    lost = replace(support.ceilings(), failure=Failure("EngineError", "no such type"))
    recorder.result(lost)
    assert recorder.failures == [
        "75 rounds and 1 quality check alike: llama_cpp was ended by SIGKILL at Q4_0 "
        "(first: reference-1.6M Q4_0, round 1 on laptop; `odllm explore` has all)\n    try again",
        "the rest before round 1 on laptop: lost\n    again",
        "what it does at most with llama_cpp on laptop: no such type",
    ]


def left_out(*of: Trial) -> LeftOut:
    check = support.quality_check(of[0].model, engine=of[0].engine)
    return LeftOut("llama_cpp at Q4_0", "it crashed", 3, 2, tuple(each.id for each in of), (check,))


def test_what_is_not_tried_any_more_is_stored_and_told(path: Path, recorder: Recorder) -> None:
    recorder.left_out(support.device(), left_out(support.trial()))
    reason = "not tried, after 3 in a row failed alike: it crashed"
    assert status(path) == ("held", reason)
    (score,) = store.read(path, "SELECT reason, complete FROM quality").to_dict("records")
    assert score == {"reason": reason, "complete": False}
    assert recorder.untried == [
        "2 rounds and 1 quality check of llama_cpp at Q4_0 on laptop, after 3 failed alike"
    ]
    assert len(store.read(path, "SELECT * FROM failures")) == 0


def test_a_device_that_is_back_has_what_was_not_tried_still_left_out(
    path: Path, recorder: Recorder
) -> None:
    recorder.left_out(support.device(), left_out(support.trial()))
    recorder.held(support.device(), "away")
    recorder.resumed(support.device())
    assert status(path) == ("held", left_out(support.trial()).reason)


def test_a_later_run_tries_again_what_was_not_tried(path: Path, recorder: Recorder) -> None:
    recorder.left_out(support.device(), left_out(support.trial()))
    again = Recorder(Store(path), experiment("seed=7"))
    again.plan([support.trial()])
    assert status(path) == ("planned", None)
    check = support.quality_check()
    assert Store(path).finished_checks([check.id]) == frozenset()


def test_skips_are_stored_and_told_in_one_line_each(path: Path, recorder: Recorder) -> None:
    alike = [support.skip(support.trial(threads=n), "too large") for n in (1, 2)]
    other = support.skip(support.trial(support.model_file(quantization="Q2_K")), "unreadable")
    recorder.skipped(support.device(), [*alike, other])
    assert recorder.skips == [
        "reference-1.6M Q4_0 with llama_cpp on laptop: too large (2 trials)",
        "reference-1.6M Q2_K with llama_cpp on laptop: unreadable",
    ]
    assert recorder.failures == []
    assert len(store.read(path, "SELECT * FROM results WHERE status = 'skipped'")) == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "done"), (KeyboardInterrupt(), "interrupted"), (ValueError("a bug"), "failed")],
)
def test_a_run_is_closed_however_it_ends(
    path: Path, error: BaseException | None, status: str
) -> None:
    expected = pytest.raises(type(error)) if error else contextlib.nullcontext()
    with expected, recording(Store.open(path), experiment()):
        if error:
            raise error
    (run,) = store.read(path, "SELECT status, ended_at FROM runs").to_dict("records")
    assert run["status"] == status
    assert run["ended_at"] is not None


def test_a_run_with_failures_ends_as_failed(path: Path) -> None:
    with recording(Store.open(path), experiment()) as recorder:
        recorder.plan([support.trial()])
        recorder.result(support.failed_round())
    (run,) = store.read(path, "SELECT status FROM runs").to_dict("records")
    assert run["status"] == "failed"


def test_a_store_that_vanished_does_not_hide_why_the_run_ended(path: Path) -> None:
    run = recording(Store.open(path), experiment())
    run.__enter__()
    path.unlink()
    bug = ValueError("a bug")
    assert not run.__exit__(ValueError, bug, None)


def entry(run_id: str, **changes: object) -> Entry:
    kept = Entry.of("e-1", support.round_result(), Tag("store", run_id))
    return replace(kept, **changes)  # type: ignore[arg-type]


def test_what_a_device_kept_is_stored_once_and_for_the_run_that_it_was_made_for(
    path: Path, recorder: Recorder
) -> None:
    recorder.entry(support.device(), entry("an-earlier-run"))
    recorder.flush()
    recorder.entry(support.device(), entry("an-earlier-run"))
    recorder.flush()
    (row,) = store.read(path, "SELECT run_id FROM rounds").to_dict("records")
    assert row["run_id"] == "an-earlier-run"


def test_a_result_that_the_device_could_not_keep_is_stored_and_told(
    path: Path, recorder: Recorder
) -> None:
    recorder.entry(support.device(), entry(recorder.run_id, unkept="there is no room"))
    recorder.flush()
    assert len(store.read(path, "SELECT * FROM rounds")) == 1
    (note,) = recorder.notes
    assert "laptop" in note
    assert "there is no room" in note


def test_events_say_what_happened_when_to_whom_and_in_which_run(
    path: Path, recorder: Recorder
) -> None:
    told = "old: it has ODLLM 0.0.1"
    recorder.event(Event(support.STARTED, EventKind.REFUSED, "id-of-old", told))
    recorder.result(support.round_result())
    recorder.flush()
    first, second = store.read(path, "SELECT * FROM events ORDER BY event_id").to_dict("records")
    assert (first["kind"], first["device_id"], first["detail"]) == (
        "refused",
        "id-of-old",
        told,
    )
    assert first["happened_at"] == support.STARTED.replace(tzinfo=None)
    assert first["run_id"] == second["run_id"] == recorder.run_id
    assert (second["kind"], second["detail"]) == ("stored", "reference-1.6M Q4_0, round 1")
    assert recorder.notes == ["refused old: it has ODLLM 0.0.1"]


def status(path: Path) -> tuple[str, str | None]:
    (row,) = store.read(path, "SELECT status, hold_reason FROM results").to_dict("records")
    return row["status"], row["hold_reason"]


def test_trials_of_a_device_that_is_not_waited_for_are_held_until_it_is_back(
    path: Path, recorder: Recorder
) -> None:
    recorder.held(support.device(), "it did not answer in time")
    assert status(path) == ("held", "it did not answer in time")
    assert recorder.holds == ["laptop: it did not answer in time"]
    recorder.resumed(support.device())
    assert status(path)[0] == "planned"
    assert recorder.holds == []


def test_a_held_trial_is_planned_again_by_the_next_run(path: Path, recorder: Recorder) -> None:
    recorder.result(support.round_result())
    recorder.held(support.device(), "away")
    assert status(path) == ("held", "away")
    again = Recorder(Store(path), experiment("seed=7"))
    assert [each.name for each in Store(path).unfinished_devices("bare")] == ["laptop"]
    again.plan([support.trial()])
    assert status(path)[0] == "partial"
    for index in range(1, 3):
        again.result(replace(support.round_result(), round=index))
    again.flush()
    assert status(path)[0] == "done"
    assert Store(path).unfinished_devices("bare") == ()


def test_the_trials_of_a_device_that_this_run_never_saw_are_held_too(
    path: Path, recorder: Recorder
) -> None:
    again = Recorder(Store(path), experiment("seed=7"))
    again.held(support.device(), "it is not in the fleet")
    assert status(path) == ("held", "it is not in the fleet")


def test_a_run_whose_device_was_held_does_not_end_as_done(path: Path) -> None:
    with recording(Store.open(path), experiment()) as recorder:
        recorder.held(support.device(), "away")
    (run,) = store.read(path, "SELECT status FROM runs").to_dict("records")
    assert run["status"] == "failed"


def test_the_run_of_a_killed_controller_is_abandoned_when_the_next_one_begins(
    path: Path, recorder: Recorder
) -> None:
    with controlling(path):
        (run,) = store.read(path, "SELECT status FROM runs").to_dict("records")
        assert run["status"] == "abandoned"
        with pytest.raises(StoreError, match=f"in use by a run of process {os.getpid()}"):
            controlling(path).__enter__()
    with controlling(path):
        pass


def test_a_store_keeps_its_id_and_no_two_have_the_same(tmp_path: Path) -> None:
    first, second = (Store.open(tmp_path / name) for name in ("a.duckdb", "b.duckdb"))
    assert first.identity() == Store.open(first.path).identity() != second.identity()
