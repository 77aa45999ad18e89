"""A test of llama-bench as a row of `results`, in any version."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_controller.exchange.figures import Figures, Start
from odllm_controller.exchange.llama_bench.record import figures
from odllm_controller.exchange.records import records
from tests.odllm_controller.exchange.told import DATA, FORMS, OLD, entry, start_of


def row(**changes: object) -> dict[str, object]:
    return figures(entry(**changes), "bench.json").row


def captured() -> list[Figures]:
    """What the captured lines hold but for those that time both in one."""
    values = [value for _, value in records((DATA / "llama-bench-0c1e570.jsonl").read_text())]
    found = [value for value in values if isinstance(value, dict)]
    single = [value for value in found if not (value["n_prompt"] and value["n_gen"])]
    return [figures(value, "bench.jsonl") for value in single]


def test_an_old_version_is_read_by_the_names_that_it_had() -> None:
    found = row()
    assert found["origin"] == "llama-bench b1200 (bench.json)"
    assert (found["device"], found["device_kind"]) == ("Example 7000", "real")
    assert (found["engine"], found["engine_version"]) == ("llama-bench", "b1200 abc1234")
    assert (found["model"], found["quantization"]) == ("tiny", "Q4_0")
    assert found["file_bpw"] == 4.5
    assert (found["prompt_tokens"], found["output_tokens"], found["depth_tokens"]) == (512, 0, 0)
    assert found["run_started_at"] == datetime(2023, 9, 23, 12, 9, 57)  # noqa: DTZ001 - as stored
    assert (found["energy_method"], found["status"]) == ("unavailable", "done")


def test_settings_have_our_names_where_we_have_them_and_its_own_elsewhere() -> None:
    found = row(flash_attn=1, n_ubatch=256, lazy_mode="auto", mla_attn=3, tensor_split=[1])
    settings = json.loads(str(found["settings"]))
    assert found["threads"] == settings["threads"] == 4
    assert (settings["ubatch_tokens"], settings["flash_attention"]) == (256, "on")
    assert (settings["f16_kv"], settings["lazy_mode"]) == (True, "auto")
    assert (settings["mla_attn"], settings["cuda"]) == (3, False), "not known, and told"
    assert settings.keys().isdisjoint({"tensor_split", "samples_ts", "avg_ts", "n_prompt"})


def start(**changes: object) -> Start:
    found = figures(entry(**changes), "f").start
    assert found
    return found


def test_two_starts_of_one_test_have_their_subject_in_common_and_samples_in_seconds() -> None:
    first, second = (figures(entry(test_time=f"2023-09-23T12:0{n}:00Z"), "f") for n in (1, 2))
    assert [sample["window_s"] for sample in first.samples] == [1, 2, 4]
    assert first.start
    assert second.start
    assert first.start.subject == second.start.subject
    assert first.start.id != second.start.id
    assert {sample["round"] for sample in first.samples} == {first.start.id}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "changes", [{}, {"flash_attn": -1, "repack": False}, {"fit_target": 7, "build_commit": "12e45"}]
)
def test_one_test_is_the_same_in_every_form_that_tells_all_of_it(
    form: str, changes: dict[str, object]
) -> None:
    told = start_of(**changes)
    ((_, value),) = records(FORMS[form](told))
    found, first = figures(value, "f", "PC"), figures(told, "f", "PC")
    assert found.start
    assert first.start
    if form == "md":
        assert found.start.subject != first.start.subject, "it tells too little"
        return
    assert found.start.subject == first.start.subject
    assert found.start.id == first.start.id
    assert found.row["settings"] == first.row["settings"]
    assert found.row["engine_version"] == first.row["engine_version"]


@pytest.mark.parametrize(
    "changes",
    [
        {"n_threads": 5},
        {"build_number": 1201},
        {"n_prompt": 256},
        {"cpu_info": "other"},
        {"vulkan": True},
        {"cuda": True},
        {"mla_attn": 3},
        {"test_kind": "gp"},
        {"tensor_split": [1, 2]},
        {"rope": {"scale": 0.5}},
        {"build_commit": "abc1235"},
        {"build_date": "2026-01-01 10:00:00"},
        {"avg_pooling": "cls"},
    ],
)
def test_what_differs_in_anything_is_another_test(changes: dict[str, object]) -> None:
    assert start(**changes).subject != start().subject


@pytest.mark.parametrize("form", [each for each in FORMS if each != "md"])
@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("rocm_version", "6.1", "6.10"),
        ("driver", "535", "535.0"),
        ("build_commit", "1234567", "1234567.0"),
    ],
)
def test_texts_that_are_one_number_are_two_versions(
    form: str, name: str, one: str, other: str
) -> None:
    found = [
        next(value for _, value in records(FORMS[form](start_of(**{name: text}))))
        for text in (one, other)
    ]
    first, second = (figures(value, "f", "PC").start for value in found)
    assert first
    assert second
    assert first.subject != second.subject


@pytest.mark.parametrize(
    "changes",
    [
        {"avg_ts": 274.0},
        {"stddev_ns": 1},
        {"samples_ns": [5]},
        {"test_time": "2023-09-24T00:00:00Z"},
        {"started": "2023-09-24T00:00:00Z"},
        {"samples_j": [0.5]},
        {"gpu_info": None},
    ],
)
def test_figures_times_and_samples_are_of_a_start_and_not_of_a_test(
    changes: dict[str, object],
) -> None:
    assert start(**changes).subject == start().subject


def test_averages_alone_are_told_as_such_and_never_taken_together() -> None:
    told = entry(samples_ns=..., samples_ts=..., n_prompt=0, n_gen=128, avg_ts=20.0)
    found = figures(told, "f")
    again = figures(told | {"test_time": "2024-01-01T00:00:00Z"}, "f")
    assert found.samples == ()
    assert (found.row["decode_tok_s"], found.row["tpot_s"]) == (20, 0.05)
    assert "mean" in found.row["interval_reason"]
    assert found.row["row_id"] != again.row["row_id"]
    assert "prefill_tok_s" not in found.row


def test_what_is_captured_is_read_whole() -> None:
    found = captured()
    assert len(found) == 8
    assert {each.row["quantization"] for each in found} == {"F16", "Q4_K_M"}
    assert {each.row["model"] for each in found} == {"reference-1.6M", "reference-7.6M"}
    assert {len(each.samples) for each in found} == {3}
    subjects = {each.start.subject for each in found if each.start}
    assert len(subjects) == 4, "each test was started twice"


@pytest.mark.parametrize(
    ("described", "name"),
    [
        ("qwen2 1.5B Q4_K - Medium", "Q4_K_M"),
        ("llama 7B mostly Q4_0", "Q4_0"),
        ("llama 8B Q2_K - Medium", "Q2_K"),
        ("llama 8B Q3_K - Small", "Q3_K_S"),
        ("llama 8B all F32", "F32"),
        ("qwen2 ?B BF16", "BF16"),
        ("llama 8B IQ2_XXS - 2.0625 bpw", "IQ2_XXS"),
        ("llama 8B IQ3_S mix - 3.66 bpw", "IQ3_M"),
        ("llama 8B TQ1_0 - 1.69 bpw ternary", "TQ1_0"),
        ("gpt-oss 20B MXFP4 MoE", "MXFP4_MOE"),
        ("llama 8B (guessed) Q6_K", "Q6_K"),
        ("llama 8B unknown, may not work", None),
        ("", None),
    ],
)
def test_the_type_is_read_from_the_description(described: str, name: str | None) -> None:
    assert row(model_type=described)["quantization"] == name


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("/a/Qwen2.5-0.5B-Instruct-Q4_0.gguf", "Qwen2.5-0.5B-Instruct"),
        (r"C:\models\tiny.Q4_0.gguf", "tiny"),
        ("Q4_0.gguf", "Q4_0"),
        ("some name.gguf", "some name"),
    ],
)
def test_the_model_is_its_files_name_without_the_type(filename: str, name: str) -> None:
    assert row(model_filename=filename)["model"] == name


def test_graphics_cards_are_a_part_of_the_device_and_a_name_that_is_told_is_taken() -> None:
    assert row(gpu_info="Card 9")["device"] == "Example 7000 + Card 9"
    assert figures(entry(cpu_info=...), "f", "Kitchen PC").row["device"] == "Kitchen PC"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_prompt": ...}, "the field n_prompt is missing"),
        ({"n_prompt": "many"}, "n_prompt: .*'many'"),
        ({"n_prompt": True}, "n_prompt"),
        ({"n_prompt": 512.0}, "n_prompt: .* and it is 512.0"),
        ({"n_prompt": -1}, "n_prompt"),
        ({"n_prompt": 10**400}, "n_prompt"),
        ({"model_filename": ...}, "model_filename is missing"),
        ({"model_filename": ["a"]}, "model_filename"),
        ({"model_size": "big"}, "model_size"),
        ({"samples_ns": [1.0, 0]}, "samples_ns.1"),
        ({"samples_ns": [1.0, "x"]}, "samples_ns.1"),
        ({"samples_ns": "12"}, "samples_ns"),
        ({"samples_ns": ..., "avg_ts": ...}, "both samples_ns and avg_ts are missing"),
        ({"samples_ns": ..., "avg_ts": 0}, "avg_ts"),
        ({"test_time": "yesterday"}, "test_time"),
        ({"test_time": "0001-01-01T00:00:00+14:00"}, "test_time"),
        ({"cpu_info": ...}, "--device"),
        ({"cpu_info": "a\0b"}, "cpu_info"),
        ({"cpu_info": "a\ud800"}, "cpu_info: .* no character"),
        ({"fork_name": "a\0b"}, "fork_name"),
        ({"n_threads": -1}, "n_threads"),
        ({"n_threads": 0}, "n_threads"),
        ({"n_threads": "many"}, "n_threads"),
        ({"n_threads": 2**40}, "n_threads"),
        ({"n_batch": -512}, "n_batch"),
        ({"n_gpu_layers": "all"}, "n_gpu_layers"),
        ({"n_depth": -1}, "n_depth"),
        ({"model_size": -1}, "model_size"),
        ({"model_n_params": -1}, "model_n_params"),
        ({"build_number": -1}, "build_number"),
        ({"build_number": "7000"}, "build_number: .*'7000'"),
        ({"build_number": 2**70}, "build_number"),
        ({"avg_ts": "512.0", "samples_ns": []}, "avg_ts: .*'512.0'"),
        ({"test_time": "9999-12-31T23:59:59-14:00"}, "test_time: .*no such time in UTC"),
        ({"avg_ns": -1}, "avg_ns"),
        ({"stddev_ts": -0.5}, "stddev_ts"),
        ({"samples_ts": [1.0, -1.0]}, "samples_ts.1"),
        ({"n_gen": 16}, "512 tokens of prompt and 16 of output in one"),
        ({"n_prompt": 0}, "0 tokens of prompt and 0 of output"),
    ],
)
def test_what_is_missing_or_mistyped_is_refused_by_name(
    changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        figures(entry(**changes), "f")


@pytest.mark.parametrize("layers", [-1, 0, 99])
def test_a_number_of_layers_may_be_left_to_llama_cpp(layers: int) -> None:
    assert json.loads(str(row(n_gpu_layers=layers)["settings"]))["gpu_layers"] == layers


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats())


@given(st.dictionaries(st.sampled_from(sorted(OLD)), VALUES, max_size=4))
def test_whatever_its_fields_hold_it_is_a_row_or_refused(changes: dict[str, object]) -> None:
    try:
        found = figures(OLD | changes, "f")
    except ValueError:
        return
    assert all(sample["window_s"] > 0 for sample in found.samples)
    assert found.samples or found.row.get("prefill_tok_s") or found.row.get("decode_tok_s")


@pytest.mark.parametrize("told", [None, 3, "text", [OLD]])
def test_what_is_no_object_is_no_test(told: object) -> None:
    with pytest.raises(ValueError, match="no test"):
        figures(told, "f")
