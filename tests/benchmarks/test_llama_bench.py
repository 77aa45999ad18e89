"""llama-bench's command line and JSON, without running it."""

import json
from pathlib import Path

import pytest

from benchmarks.llama_bench import Answer, Window, arguments, parse
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.errors import EngineError

DECODE = Window(output_tokens=64, depth_tokens=128)

# As llama-bench of llama-cpp-python 0.3.36 prints it, some fields left out.
ENTRY = {
    "build_commit": "0c1e570",
    "build_number": 1,
    "model_filename": "model.gguf",
    "n_threads": 2,
    "n_prompt": 0,
    "n_gen": 64,
    "n_depth": 128,
    "test_time": "2026-11-23T23:50:03Z",
    "avg_ns": 1_500_000_000,
    "avg_ts": 48.0,
    "samples_ns": [1_000_000_000, 2_000_000_000],
    "samples_ts": [64.0, 32.0],
}


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_every_setting_of_a_trial_reaches_llama_bench() -> None:
    settings = LlamaCppSettings(
        threads=3,
        batch_tokens=64,
        ubatch_tokens=32,
        flash_attention="on",
        kv_type_k="q8_0",
        kv_type_v="q5_1",
        mmap=False,
        repack=False,
        gpu_layers=7,
    )
    command = arguments(settings, Path("m.gguf"), DECODE, repeats=5)
    told = dict(zip(command[::2], command[1::2], strict=True))
    assert told == {
        "--model": "m.gguf",
        "--n-prompt": "0",
        "--n-gen": "64",
        "--n-depth": "128",
        "--repetitions": "5",
        "--threads": "3",
        "--batch-size": "64",
        "--ubatch-size": "32",
        "--flash-attn": "on",
        "--cache-type-k": "q8_0",
        "--cache-type-v": "q5_1",
        "--load-mode": "none",
        "--repack": "0",
        "--n-gpu-layers": "7",
        "--output": "json",
    }


def test_the_defaults_map_the_file_and_repack_it() -> None:
    command = arguments(LlamaCppSettings(threads=2), Path("m.gguf"), DECODE, repeats=5)
    assert option(command, "--load-mode") == "mmap"
    assert option(command, "--repack") == "1"


def test_speeds_come_from_the_time_of_each_repeat() -> None:
    assert parse(json.dumps([ENTRY])) == (Answer(DECODE, "0c1e570", (64.0, 32.0)),)


def test_a_prompt_counts_its_own_tokens() -> None:
    entry = ENTRY | {"n_prompt": 128, "n_gen": 0, "n_depth": 0}
    (answer,) = parse(json.dumps([entry]))
    assert answer.window == Window(prompt_tokens=128)
    assert answer.tok_s == (128.0, 64.0)


def test_fields_that_are_not_needed_may_be_missing_or_new() -> None:
    entry = {key: ENTRY[key] for key in ("n_prompt", "n_gen", "samples_ns")} | {"new": [1]}
    (answer,) = parse(json.dumps([entry]))
    assert answer.commit == "unknown"
    assert answer.window.depth_tokens == 0


@pytest.mark.parametrize("text", ["", "error: no model", "{}x", "[1]", '[{"n_prompt": 1}]', "3"])
def test_anything_else_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(EngineError, match="llama-bench's JSON"):
        parse(text)
