"""What was run, and how far it got."""

from pathlib import Path

from odllm_agent.contract import Failure, ModelRequest, Source
from odllm_controller.analysis.queries import runs
from tests import stores, support
from tests.odllm_agent.failures import made


def test_runs_are_told_with_what_they_planned_and_measured(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    store = stores.measured(
        path, support.round_result(), support.failed_round(support.trial(threads=8))
    )
    store.add_skips("run-1", [support.skip()])
    store.end_run("run-1", stores.later(1), "failed")
    store.add_run(stores.run("run-2", stores.later(2)))
    later, earlier = runs.runs(path).to_dict("records")
    assert (later["run"], later["trials"], later["status"]) == ("run-2", 0, "running")
    assert (earlier["run"], earlier["status"], earlier["wall_s"]) == ("run-1", "failed", 3600)
    assert (earlier["devices"], earlier["trials"]) == (1, 2)
    assert (earlier["whole_rounds"], earlier["failed_rounds"]) == (1, 1)
    assert (earlier["failures"], earlier["skips"]) == (1, 1)


def test_progress_counts_rounds_of_earlier_runs_but_none_beyond_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    trial, other = support.trial(), support.trial(threads=8)
    store = stores.measured(path, support.round_result(trial, 0), support.round_result(trial, 1))
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_plan("run-2", [trial, other], 1)
    (row,) = runs.progress(path, "run-2").to_dict("records")
    assert (row["device"], row["trials"]) == ("laptop", 2)
    assert (row["whole_rounds"], row["planned_rounds"]) == (1, 2)


def test_failures_are_those_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    store = stores.measured(path, support.failed_round())
    store.add_run(stores.run("run-2", stores.later(1)))
    assert runs.failures(path, "run-1")["kind"].tolist() == ["WorkerDied"]
    assert runs.failures(path, "run-2").empty


def test_failures_are_told_by_causes(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    crash = Failure("WorkerDied", "ended", "look", signal="SIGSEGV", log="last")
    results = [made.failed(made.trial(kind), crash) for kind in ("Q4_0", "Q8_0")]
    store = stores.measured(path, *results)
    store.add_quality("run-1", made.unchecked(made.trial("Q4_0"), crash))
    gone = ModelRequest("mine", Source.FILE, "/mine.gguf")
    store.add_failure("run-1", "id-of-laptop", gone, Failure("ModelMissing", "no /mine.gguf"))
    crashed, missing = runs.causes(runs.failures(path, "run-1"))
    assert crashed.head() == (
        "2 rounds and 1 quality check alike: llama_cpp was ended by SIGSEGV at Q4_0, Q8_0 "
        "(first: reference-1.6M Q4_0, round 1 on laptop)"
    )
    assert crashed.first.failure == crash
    assert missing.head() == "mine as it is on laptop: no /mine.gguf"
    assert runs.causes(runs.failures(path, "run-2")) == []
