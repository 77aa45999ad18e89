"""The command that measures one trial more thoroughly."""

import shlex
import subprocess
from pathlib import Path

import pytest

from odllm_controller.analysis.advice.next_measurement import Turning
from odllm_controller.analysis.advice.rerun import RunRequest, command
from odllm_controller.overrides import line
from odllm_controller.overrides.writing import override
from tests.odllm_controller.configs import experiment

STORE = Path("results/odllm.duckdb")


def turning(**changes: object) -> Turning:
    fields: dict[str, object] = {
        "trial_id": "t",
        "run": "r",
        "model": "reference-1.6M",
        "quantization": "Q4_0",
        "configuration": "llama_cpp, 2 threads",
        "engine": "llama_cpp",
        "threads": 2,
        "workload": "short",
        "rounds": 3,
        "metric": "decode_tok_s",
        "chance": 0.3,
    }
    return Turning(**(fields | changes))  # type: ignore[arg-type]


def words(typed: str = "odllm +experiment=sweep", **changes: object) -> list[str]:
    told = shlex.split(command(turning(**changes), RunRequest(typed, "sweep"), STORE))
    assert told[:2] == ["odllm", "run"]
    return told[2:]


def test_it_is_the_experiment_narrowed_to_the_trial_with_more_rounds() -> None:
    assert words() == [
        "+experiment=sweep",
        "model=[reference-1.6M]",
        "engine=[llama_cpp]",
        "workload=[short]",
        "quantizations=[Q4_0]",
        "engines.llama_cpp.threads=2",
        "rounds=6",
        "store.path=results/odllm.duckdb",
    ]


def test_of_a_job_of_a_multirun_it_is_that_jobs_own() -> None:
    told = words("odllm run +experiment=smoke seed=1")
    assert [word for word in told if word.startswith("seed")] == ["seed=1"]
    assert "--multirun" not in told


def test_what_was_overridden_stays_and_nothing_is_named_twice() -> None:
    told = words(
        "odllm +experiment=sweep model=[a,b] rounds=2 seed=7 engines.llama_cpp.mmap=false "
        "engines.openvino.threads=4 models.b.seed=3 workloads.short.prompt_tokens=64 "
        "store.path=old.duckdb --verbose"
    )
    assert {"seed=7", "engines.llama_cpp.mmap=false", "workloads.short.prompt_tokens=64"} < {*told}
    names = [word.partition("=")[0] for word in told]
    assert len(names) == len(set(names))
    assert not {"engines.openvino.threads", "models.b.seed"} & {*names}


def test_few_rounds_become_at_least_five() -> None:
    assert "rounds=5" in words(rounds=1)


def test_a_score_is_known_better_by_reading_all_and_not_by_more_rounds() -> None:
    told = words(metric="perplexity")
    assert {"quality.max_windows=null", "quality.limit=null"} < {*told}
    assert not any(word.startswith("rounds=") for word in told)


def test_a_model_of_ones_own_and_an_untold_type_stay_as_they_were_asked_for() -> None:
    told = words(
        "odllm +experiment=sweep +models.mine.path=/m.gguf", model="mine", quantization="INT4"
    )
    assert "+models.mine.path=/m.gguf" in told
    assert not any(word.startswith(("model=", "quantizations=")) for word in told)


@pytest.mark.parametrize("typed", ["odllm-agent run trials.json --out results.jsonl", ""])
def test_a_run_of_another_kind_is_told_by_its_experiment(typed: str) -> None:
    assert words(typed)[0] == "+experiment=sweep"


def test_an_engine_without_threads_gets_none() -> None:
    assert not any("threads" in word for word in words(threads=None))


@pytest.mark.parametrize(
    "path", ["/m o/a (1).gguf", "it's, [ö]=$x.gguf", "~/größe/モデル.gguf", 'a"b\\.gguf', "null"]
)
def test_a_hard_path_is_still_that_path_for_a_shell_and_for_hydra(path: str) -> None:
    named = override("models.file.path", path)
    typed = line.joined([*line.PROGRAM, "+experiment=smoke", "model=[file]", named, "quality=none"])
    printed = command(
        turning(model="file"), RunRequest(typed, "smoke"), Path("my results/ö, (1).duckdb")
    )
    shown = subprocess.run(
        ["sh", "-c", printed.replace("odllm run", "printf '%s\\0'", 1)],
        capture_output=True,
        check=True,
    )
    words = shown.stdout.decode().split("\0")[:-1]
    asked = experiment(*words[1:], name="smoke")
    assert words[0] == "+experiment=smoke"
    assert asked.models["file"].path == path
    assert asked.store.path == Path("my results/ö, (1).duckdb")


def test_a_line_of_an_earlier_version_keeps_a_value_with_spaces_whole() -> None:
    told = words(
        "/x/bin/odllm run +experiment=sweep models.mine.path='/m o/a (1).gguf' seed=7",
        model="mine",
    )
    assert {"models.mine.path='/m o/a (1).gguf'", "seed=7"} < {*told}


def test_a_line_of_an_earlier_version_with_several_jobs_says_so_still() -> None:
    told = words("/x/bin/odllm run --multirun +experiment=sweep seed=1,2")
    assert {"--multirun", "seed=1,2"} < {*told}


def test_what_else_composes_an_experiment_stays() -> None:
    told = words("odllm run +experiment=mine '--config-dir=/my conf' '~cooldown'")
    assert {"--config-dir=/my conf", "~cooldown"} < {*told}
