"""The page of all runs."""

from pathlib import Path

import pytest

from odllm_agent.failures import LeftOut
from odllm_controller.cli.importing import import_file
from odllm_controller.store import Store
from tests import stores, support
from tests.app.drawn import charts, page, table, texts
from tests.odllm_agent.failures import made
from tests.odllm_controller.exchange.told import DATA


def test_a_run_is_told_with_its_counts(showcased: Path) -> None:
    test = page("runs")
    assert "26 trials: 24 done, 1 failed, 1 skipped" in texts(test)
    run = table(test, "Run", "Experiment").iloc[0]
    assert run["Status"] == "running"
    assert (run["Devices"], run["Trials"], run["Rounds measured"]) == (3, 25, 48)
    assert (run["Rounds failed"], run["Failures"], run["Skipped"]) == (1, 1, 1)


def test_a_store_whose_figures_were_all_imported_has_no_run_and_says_so(path: Path) -> None:
    kept = Store.open(path)
    import_file(DATA / "llama-bench-0c1e570.jsonl", kept)
    test = page("runs")
    assert not test.exception
    assert "No run was recorded here" in texts(test)


def test_progress_is_told_per_device(showcased: Path) -> None:
    test = page("runs")
    assert "48 of 50 are whole" in texts(test)
    progress = table(test, "Rounds planned").set_index("Device")
    assert progress["Rounds measured"].to_dict() == {"desktop": 16, "laptop": 16, "slice-1": 16}
    assert progress["Rounds planned"].to_dict() == {"desktop": 16, "laptop": 18, "slice-1": 16}
    assert len(charts(test)) == 1


def test_the_latest_run_comes_first_and_a_link_opens_another(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.end_run("run-1", stores.later(0.5), "done")
    store.add_run(stores.run("run-2", stores.later(1)))
    test = page("runs")
    assert table(test, "Run", "Experiment")["Run"].tolist() == ["run-2", "run-1"]
    assert "planned nothing that could be measured" in texts(test)
    runs = table(test, "Run", "Experiment").set_index("Run")
    assert runs.loc["run-1", "Minutes"] == pytest.approx(30)
    assert "**Rounds of run\\-1** · 1 of 1 are whole" in texts(page("runs", run="run-1"))


def test_failures_of_a_run_are_listed(path: Path) -> None:
    stores.measured(path, support.failed_round())
    test = page("runs")
    assert table(test, "What went wrong")["What to do"].tolist() == ["try again"]
    assert "the worker was killed" in texts(test)


def test_failures_of_one_cause_are_listed_once_and_what_was_not_tried_beside_them(
    path: Path,
) -> None:
    failed, untried = made.trial("Q4_0"), made.trial("Q4_0", threads=8)
    store = stores.measured(path, made.failed(failed), made.failed(failed, round_index=1))
    store.add_plan("run-1", [untried], 1)
    store.leave_out("run-1", LeftOut("llama_cpp", "it crashed", 5, 1, (untried.id,), ()))
    test = page("runs")
    assert "2 rounds alike\\: llama\\_cpp was ended by SIGSEGV at Q4\\_0" in texts(test)
    left = table(test, "Why it was left")
    assert left["Why it was left"].tolist() == [
        "not tried, after 5 in a row failed alike: it crashed"
    ]
    assert "Left for a later run" in texts(page("trial", trial=untried.id))


def test_command_and_config_are_there_to_run_it_again(showcased: Path) -> None:
    shown = [each.value for each in page("runs").code]
    assert "odllm run +experiment=sweep" in shown
    assert "name: sweep" in [text.strip() for text in shown]
