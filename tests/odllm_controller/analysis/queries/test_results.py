"""Results as a page or a table wants them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from odllm_agent.contract import DeviceKind, Engine, Failure, ModelRequest, Source, Trial, Workload
from odllm_controller.analysis.claims import drift
from odllm_controller.analysis.matching.cells import latest, told_apart
from odllm_controller.analysis.queries import results
from tests import stores, support

TRIAL = support.trial()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def test_an_empty_store_has_no_rows_but_all_columns(path: Path) -> None:
    stores.begun(path)
    loaded = results.load(path)
    assert loaded.empty
    assert {"perplexity_low", "workload_label", "configuration"} <= set(loaded)


def test_labels_tell_what_differs(path: Path) -> None:
    deep = Workload("deep", prompt_tokens=16, output_tokens=8, depth_tokens=96)
    trials = (
        support.trial(threads=1, type_k="f16", batch=512),
        support.trial(threads=2, type_k="q8_0", batch=512),
        replace(support.trial(threads=4, type_k="f16", batch=512), workload=deep),
    )
    store = stores.begun(path)
    store.add_plan("run-1", trials, 1)
    loaded = results.load(path)
    assert set(loaded["workload_label"]) == {
        "short: 128 in, 64 out",
        "deep: 16 in, 8 out, 96 before",
    }
    assert sorted(loaded["configuration"]) == [
        "llama_cpp, 1 thread, type_k f16",
        "llama_cpp, 2 threads, type_k q8_0",
        "llama_cpp, 4 threads, type_k f16",
    ]


def test_what_two_engines_have_not_in_common_is_in_no_label(path: Path) -> None:
    trial = support.trial(threads=2, batch=512)
    other = replace(trial, engine=Engine("openvino", "2026.4.1", {"threads": 2, "device": "CPU"}))
    stores.begun(path).add_plan("run-1", (trial, other), 1)
    assert set(results.load(path)["configuration"]) == {
        "llama_cpp, 2 threads",
        "openvino, 2 threads",
    }


def test_two_devices_of_one_name_are_told_apart(path: Path) -> None:
    twins = (support.device(id="aaaa1"), support.device(id="bbbb2"), support.device("other"))
    store = stores.begun(path, *twins)
    store.add_plan("run-1", [support.trial(device_id=twin.id) for twin in twins], 1)
    assert set(results.load(path)["device"]) == {"laptop (aaaa)", "laptop (bbbb)", "other"}


def test_a_row_without_a_trial_has_no_labels(path: Path) -> None:
    store = stores.begun(path)
    request = ModelRequest("mine", Source.FILE, "/gone")
    store.add_failure("run-1", "id-of-laptop", request, Failure("ModelMissing", "gone"))
    (row,) = results.failed(results.load(path)).to_dict("records")
    assert row["model"] == "mine"
    assert str(row["workload_label"]) in {"nan", "None"}
    assert str(row["configuration"]) in {"nan", "None"}


def test_perplexity_gets_the_interval_of_its_standard_error(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_quality("run-1", support.quality_result(value=12.5))
    (row,) = results.load(path).to_dict("records")
    assert row["perplexity_low"] == pytest.approx(12.5 - 1.96 * 0.2)
    assert row["perplexity_high"] == pytest.approx(12.5 + 1.96 * 0.2)


def test_measured_and_failed_split_the_rows(path: Path) -> None:
    good, bad = support.trial(threads=1), support.trial(threads=2)
    store = stores.measured(path, support.round_result(good), support.failed_round(bad))
    store.add_plan("run-1", [support.trial(threads=4)], 1)
    loaded = results.load(path)
    assert results.measured(loaded)["threads"].tolist() == [1]
    assert results.failed(loaded)["threads"].tolist() == [2]


def test_a_run_is_under_way_until_it_ends_or_falls_silent(path: Path) -> None:
    store = stores.begun(path)
    soon = support.STARTED + timedelta(minutes=5)
    assert results.under_way(path, soon) == results.UnderWay("run-1", "sweep")
    assert results.under_way(path, stores.later(30)) is None
    result = replace(support.round_result(), started_at=stores.later(29.9))
    store.add_round("run-1", result)
    assert results.under_way(path, stores.later(30)) is not None
    store.end_run("run-1", stores.later(30), "done")
    assert results.under_way(path, stores.later(30)) is None


def test_a_run_that_died_is_not_under_way_once_another_ended(path: Path) -> None:
    store = stores.begun(path)
    store.add_run(stores.run("run-2", stores.later(0.1)))
    store.end_run("run-2", stores.later(0.2), "done")
    assert results.under_way(path, stores.later(0.3)) is None


@pytest.mark.parametrize("kind", [DeviceKind.VIRTUAL, DeviceKind.SIMULATED])
def test_a_device_that_is_no_machine_is_marked_in_words(path: Path, kind: DeviceKind) -> None:
    odd = support.device("odd", kind=kind)
    store = stores.begun(path, support.device(), odd)
    for device in (support.device(), odd):
        store.add_round("run-1", support.round_result(support.trial(device_id=device.id)))
    found = results.load(path)
    assert found["device"].tolist() == ["laptop", f"odd ({kind})"]
    (note,) = results.notes(found)
    assert note.startswith(f"{kind} devices: ")
    assert results.notes(found[found["device"] == "laptop"]) == []
    assert {each.device for each in drift.load(path, "run-1")} == set(found["device"])


def test_two_builds_of_one_version_are_two_engines_in_every_label(path: Path) -> None:
    old, new = (of_build(build) for build in ("", "3f2a91c04d5e"))
    stores.measured(path, support.round_result(old), support.round_result(new))
    loaded = results.load(path)
    assert set(loaded["configuration"]) == {
        "llama_cpp, 2 threads, build unknown",
        "llama_cpp, 2 threads, build 3f2a91c04d5e",
    }
    assert len(latest(loaded)) == 2


def test_a_build_is_in_no_label_where_each_device_has_used_one(path: Path) -> None:
    store = stores.begun(path, support.device("a"), support.device("b"))
    trials = [
        replace(of_build(build), device_id=f"id-of-{name}")
        for build, name in (("3f2a91c04d5e", "a"), ("77aa00bb11cc", "b"))
    ]
    store.add_plan("run-1", trials, 1)
    store.add_results("run-1", [support.round_result(each) for each in trials])
    assert set(results.load(path)["configuration"]) == {"llama_cpp, 2 threads"}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(TRIAL, workload=replace(TRIAL.workload, seed=7)), {", seed 0", ", seed 7"}),
        (
            replace(TRIAL, engine=replace(TRIAL.engine, version="0.4.0")),
            {f", {TRIAL.engine.version}", ", 0.4.0"},
        ),
        (
            replace(TRIAL, model=replace(TRIAL.model, sha256="f" * 64)),
            {f", file {TRIAL.model.sha256[:8]}", ", file ffffffff"},
        ),
        (replace(TRIAL, model=replace(TRIAL.model, name="other")), {""}),
        (
            replace(TRIAL, workload=Workload("deep", prompt_tokens=1, output_tokens=8, seed=7)),
            {""},
        ),
    ],
)
def test_rows_that_look_alike_are_told_apart_by_what_differs(
    path: Path, other: Trial, told: set[str]
) -> None:
    stores.measured(path, support.round_result(TRIAL), support.round_result(other))
    loaded = results.load(path)
    assert set(loaded["configuration"]) == {"llama_cpp, 2 threads"}
    assert set(told_apart(loaded)) == {f"llama_cpp, 2 threads{each}" for each in told}


def of_build(build: str) -> Trial:
    trial = support.trial()
    return replace(trial, engine=replace(trial.engine, build=build))
