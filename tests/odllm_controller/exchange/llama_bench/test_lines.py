"""A round as llama-bench would have told it."""

import json
from datetime import datetime

import pytest

from odllm_controller.exchange.llama_bench.lines import Windows, is_of_llama_cpp, line
from odllm_controller.exchange.llama_bench.record import figures

AT = datetime(2026, 11, 1, 12)  # noqa: DTZ001 - as stored
DECODE = Windows("decode", AT, (0.5, 1.0, 2.0))
ROW: dict[str, object] = {
    "device": "laptop",
    "device_kind": "real",
    "engine": "llama_cpp",
    "engine_version": "0.3.36+0c1e570",
    "model": "m",
    "quantization": "Q4_K_M",
    "n_weights": 8_000_000,
    "file_bpw": 4.5,
    "prompt_tokens": 128,
    "output_tokens": 64,
    "depth_tokens": 32,
    "settings": '{"threads": 2, "kv_type_k": "q8_0", "flash_attention": "off"}',
}


def told(windows: Windows = DECODE, **changes: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(line(ROW | changes, windows))
    return found


def test_output_is_behind_its_prompt_and_a_prompt_behind_what_was_there() -> None:
    decode, prefill = told(), told(Windows("prefill", AT, (1.0,)))
    assert [decode[name] for name in ("n_prompt", "n_gen", "n_depth")] == [0, 64, 160]
    assert [prefill[name] for name in ("n_prompt", "n_gen", "n_depth")] == [128, 0, 32]


def test_samples_are_in_its_units_with_their_mean_and_deviation() -> None:
    found = told()
    assert found["samples_ns"] == [500_000_000, 1_000_000_000, 2_000_000_000]
    assert found["samples_ts"] == [128, 64, 32]
    assert found["avg_ts"] == pytest.approx(224 / 3)
    assert found["stddev_ts"] == pytest.approx(48.88, rel=1e-3)
    assert found["avg_ns"] == 1_166_666_667
    assert told(Windows("decode", AT, (0.5,)))["stddev_ns"] == 0


@pytest.mark.parametrize(
    ("version", "commit", "number"),
    [
        ("0.3.36+0c1e570-dirty", "0c1e570-dirty", None),
        ("b6641 0c1e570", "0c1e570", 6641),
        ("b6641", None, 6641),
        ("0c1e570", "0c1e570", None),
        (None, None, None),
    ],
)
def test_the_version_is_told_as_far_as_it_is_known(
    version: str | None, commit: str | None, number: int | None
) -> None:
    found = told(engine_version=version)
    assert (found["build_commit"], found["build_number"]) == (commit, number)


def test_builds_of_one_version_stay_two_tests_when_they_are_read_again() -> None:
    found = [figures(told(engine_build=build), "b.jsonl") for build in ("a1", "b2", None)]
    assert [each.row["engine_build"] for each in found] == ["a1", "b2", None]
    assert len({each.row["row_id"] for each in found}) == 3
    assert all("engine_build" not in each.row["settings"] for each in found)


def test_settings_have_its_names() -> None:
    found = told()
    assert (found["n_threads"], found["type_k"], found["flash_attn"]) == (2, "q8_0", 0)
    assert found.keys().isdisjoint({"threads", "kv_type_k", "flash_attention"})


@pytest.mark.parametrize(("mmap", "mode"), [("true", "mmap"), ("false", "none")])
def test_how_a_file_is_loaded_is_told_in_old_words_and_new_ones(mmap: str, mode: str) -> None:
    found = told(settings=f'{{"mmap": {mmap}}}')
    assert (found["use_mmap"], found["load_mode"]) == (json.loads(mmap), mode)
    assert told()["load_mode"] is None


def test_what_is_no_machine_is_marked() -> None:
    assert told()["cpu_info"] == "laptop"
    assert told(device_kind="simulated")["cpu_info"] == "laptop (simulated)"


def test_what_is_not_known_is_null() -> None:
    found = told(Windows("decode", None, (1.0,)), file_bpw=None, quantization=None)
    assert (found["model_size"], found["test_time"]) == (None, None)
    assert (found["model_filename"], found["model_type"]) == ("m.gguf", "m")
    assert told()["model_size"] == 4_500_000
    assert told()["test_time"] == "2026-11-01T12:00:00Z"


@pytest.mark.parametrize(
    ("engine", "known"), [("llama_cpp", True), ("llama-bench", True), ("openvino", False)]
)
def test_only_llama_cpp_has_its_fields(engine: str, known: bool) -> None:
    assert is_of_llama_cpp(ROW | {"engine": engine}) is known
