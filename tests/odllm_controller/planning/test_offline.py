"""A laptop without a network has the same work as one in a fleet, and gives the same rows."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from odllm_agent.contract import CeilingKey, Forecast, ModelFile
from odllm_agent.offline import execution as laptop
from odllm_agent.offline.execution import Done
from odllm_controller import store
from odllm_controller.experiment.config import Experiment
from odllm_controller.planning import plan
from odllm_controller.planning.offline import assign
from tests import support
from tests.models import write_gguf
from tests.odllm_controller.configs import SMALL, experiment

DEVICE = support.device(engines={"llama_cpp": "1", "openvino": "2"})
SWEPT = (
    "quantizations=[Q8_0,Q4_0,Q2_K]",
    "engine=[llama_cpp,openvino]",
    "engines.llama_cpp.threads=[1,2]",
    "workloads.short.prompt_tokens=[16,32]",
    "quality.text=reference",
    "quality.tasks=[]",
)


def forecasts(asked: Experiment) -> list[Forecast]:
    """What a device like that answers; OpenVINO reads no Q2_K."""
    return [
        Forecast(each, file_of(each.request.name, str(each.request.quantization)), 0, 10**6)
        for each in plan.candidates(asked, DEVICE)
    ]


def file_of(name: str, kind: str) -> ModelFile:
    file = support.model_file(name, kind)
    return replace(file, tensor_types=("F32", "Q2_K" if kind == "Q2_K" else "Q8_0"))


def roomy(found: Sequence[Forecast]) -> list[Forecast]:
    return [replace(each, available_bytes=10**11) for each in found]


def test_the_device_makes_the_same_trials_in_the_same_order_as_a_controller() -> None:
    asked = experiment(*SWEPT, name="sweep")
    told = roomy(forecasts(asked))
    found = assign(asked, DEVICE, told, (), 60.0)
    assert found.on(DEVICE) == found
    files = [file_of(each.name, str(each.quantization)) for each in found.requests]
    planned = laptop.trials(found, files)
    assert planned == plan.without(plan.trials(asked, DEVICE, files), plan.skips(DEVICE, told))
    assert {each.reason for each in found.skips} == {
        "OpenVINO's GGUF reader knows no tensor type Q2_K"
    }
    schedule = laptop.schedule(found, planned, (), Done.of(()))
    order = plan.steps(planned, asked.rounds, asked.seed)
    given = []
    while (task := schedule.next_order()) is not None:
        given.append(task.told)
    assert given[1:] == [
        f"{step.trial.model.label}, round {step.round + 1}, short" for step in order
    ]


def test_what_is_asked_in_an_experiment_is_asked_of_the_device() -> None:
    asked = experiment(
        *SWEPT, "deadline_s=7", "cooldown.pause_s=2", "rounds_at_most=5", "seed=3", name="sweep"
    )
    found = assign(asked, DEVICE, roomy(forecasts(asked)), (), 60.0)
    assert (found.deadline_s, found.cooldown.pause_s, found.experiment.seed) == (7, 2, 3)
    assert (found.rounds, found.rounds_at_most) == (3, 5)
    assert found.policy.interval_target == asked.repeats.interval_target
    assert found.meters == asked.power.meters
    assert found.reading is not None
    assert found.reading.sha256 == "", "the text is the device's"
    assert found.exams == plan.exams(asked.quality)
    assert "seed: 3" in found.experiment.config_yaml


def test_what_can_run_with_nothing_is_not_made() -> None:
    asked = experiment("engine=[openvino]", "quantizations=[Q8_0,Q2_K]", name="sweep")
    found = assign(asked, DEVICE, roomy(forecasts(asked)), (), 60.0)
    assert "Q2_K" not in {each.quantization for each in found.requests}


KNOWN = [
    CeilingKey("id-of-laptop", "llama_cpp", "1", 2, "read"),
    CeilingKey("id-of-other", "llama_cpp", "1", 2, "read"),
]


@pytest.mark.parametrize(
    ("wanted", "measured", "known"),
    [("missing", True, KNOWN[:1]), ("again", True, []), ("never", False, [])],
)
def test_ceilings_that_are_known_of_the_device_are_not_found_out_again(
    wanted: str, measured: bool, known: list[CeilingKey]
) -> None:
    asked = experiment(f"ceilings={wanted}", name="sweep")
    found = assign(asked, DEVICE, [], KNOWN, 60.0)
    assert (found.ceilings, list(found.known_ceilings)) == (measured, known)


def test_spare_rounds_are_left_out_once_the_logbook_shows_a_narrow_interval() -> None:
    asked = support.assignment(rounds=2, rounds_at_most=4, device=support.device())
    (trial,) = laptop.trials(asked, [support.model_file()])
    narrow = [support.round_result(trial, index) for index in range(2)]
    failed = support.failed_round(trial, 1)
    assert len(laptop.schedule(asked, [trial], (), Done.of(()))) == 4
    assert len(laptop.schedule(asked, [trial], (), Done.of([narrow[0], failed]))) == 3
    assert len(laptop.schedule(asked, [trial], (), Done.of(narrow))) == 0


REPLACED = {"models.file.quantizations", "engine", "quality"}
OVERRIDES = (
    *(each for each in SMALL if each.split("=")[0] not in REPLACED),
    "models.file.quantizations=[Q8_0,Q2_K]",
    "engine=[llama_cpp,openvino]",
    "engines.openvino.threads=1",
    "engines.openvino.inference_precision=f32",
    "quality.metrics=[perplexity,kld]",
    "quality.window_tokens=16",
    "quality.max_windows=2",
    "quality.tasks=[]",
    "workloads.short.prompt_tokens=16",
    "workloads.short.output_tokens=8",
)
SAME = (
    "device",
    "device_id",
    "device_kind",
    "model",
    "model_sha256",
    "quantization",
    "engine",
    "engine_version",
    "settings",
    "workload",
    "prompt_tokens",
    "output_tokens",
    "status",
    "file_bpw",
    "runtime_bpw",
    "file_bytes",
    "repeats",
    "rounds",
    "perplexity",
    "kld",
    "energy_method",
    "failure",
)


@pytest.mark.ray
def test_results_that_are_imported_are_those_of_a_run_but_for_times(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "tiny-F16.gguf")
    asked = (*OVERRIDES, f"models.file.path={model}")

    def call(module: str, *arguments: str) -> None:
        environment = os.environ | {
            "ODLLM_CACHE_DIR": str(tmp_path / "cache"),
            "ODLLM_STATE_DIR": str(tmp_path / "state"),
        }
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout

    call("odllm_controller", "run", *asked, "store.path=run.duckdb")
    call("odllm_agent", "describe", "--out", "laptop.json")
    planned = ("--device-file", "laptop.json", "--out", "trials.json")
    call("odllm_controller", "plan", *asked, "store.path=none.duckdb", *planned)
    call("odllm_agent", "run", "trials.json", "--out", "results.jsonl")
    call("odllm_controller", "import", "results.jsonl", "--store", "import.duckdb")
    run, imported = (rows(tmp_path / name) for name in ("run.duckdb", "import.duckdb"))
    assert set(run["status"]) == {"done", "skipped"}
    pd.testing.assert_frame_equal(run[list(SAME)], imported[list(SAME)])
    told = list(run.columns[run.notna().any()])
    assert told == list(imported.columns[imported.notna().any()]), "the same is known of both"


def rows(path: Path) -> pd.DataFrame:
    order = "ORDER BY engine, quantization, workload"
    return store.read(path, f"SELECT * FROM results {order}")
