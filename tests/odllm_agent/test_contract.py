import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Anatomy,
    Ceilings,
    Cooldown,
    Exam,
    Failure,
    Forecast,
    Measurement,
    Memory,
    ModelFile,
    QualityResult,
    Rehearsal,
    RepeatPolicy,
    RoundResult,
    SlidingWindow,
    Use,
    WeightGroup,
    Workload,
    from_json,
    to_json,
)
from odllm_agent.errors import ModelMissing
from tests import support


@pytest.mark.parametrize("result", [support.round_result(), support.failed_round()])
def test_a_round_survives_json(result: RoundResult) -> None:
    assert from_json(RoundResult, to_json(result)) == result


def test_a_measurement_survives_json() -> None:
    order = Measurement(
        support.trial(), 2, RepeatPolicy(), ("auto",), (10.0, 11.5), 60.0, Cooldown(55.0, 30.0)
    )
    assert from_json(Measurement, to_json(order)) == order


def test_ceilings_survive_json_with_and_without_figures() -> None:
    found = support.ceilings(read=20e9, Q4_0=None)
    assert from_json(Ceilings, to_json(found)) == found


def test_what_a_model_consists_of_survives_json() -> None:
    group = WeightGroup(Use.TOKENS, "Q6_K", 210, 256, experts=8, experts_used=2)
    found = Anatomy.of([group], 4, 8, windows=[SlidingWindow(512, 2, 4)], state_bytes=64)
    file = dataclasses.replace(support.model_file(), anatomy=found)
    assert from_json(ModelFile, to_json(file)) == file


def test_a_quality_result_survives_json() -> None:
    base = support.model_file(quantization="F16")
    result = dataclasses.replace(
        support.quality_result(value=None), check=support.quality_check(base=base)
    )
    assert from_json(QualityResult, to_json(result)) == result


def test_a_forecast_and_the_order_for_a_rehearsal_survive_json() -> None:
    found = support.forecast()
    order = Rehearsal(support.model_file(), support.engine(), Workload("w", 1, 1), ("auto",))
    assert from_json(Forecast, to_json(found)) == found
    assert from_json(Rehearsal, to_json(order)) == order


def test_peak_memory_is_that_of_loading_or_of_computing() -> None:
    parts = {"baseline_bytes": 10, "mapped_bytes": 400, "unread_bytes": 300, "loaded_bytes": 200}
    loading = Memory(**parts, kv_bytes=5, compute_bytes=6, header_bytes=50)
    computing = Memory(**parts, kv_bytes=50, compute_bytes=6, header_bytes=20)
    assert loading.peak_bytes == 10 + 400 + 200 + 50
    assert computing.peak_bytes == 10 + 400 + 200 + 56


def test_what_is_read_only_once_need_not_stay() -> None:
    memory = Memory(
        baseline_bytes=10,
        mapped_bytes=400,
        unread_bytes=300,
        loaded_bytes=200,
        kv_bytes=5,
        compute_bytes=6,
        header_bytes=1000,
    )
    assert memory.needed_bytes == 10 + 100 + 200 + 11


def test_a_quality_check_is_the_same_wherever_its_files_lie() -> None:
    check = support.quality_check(base=support.model_file(quantization="F16"))
    assert check.reading is not None
    assert check.base is not None
    moved = dataclasses.replace(
        check,
        model=dataclasses.replace(check.model, path="/elsewhere.gguf"),
        reading=dataclasses.replace(check.reading, text="/renamed.txt"),
        base=dataclasses.replace(check.base, path="/elsewhere-F16.gguf"),
    )
    assert moved.id == check.id


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": "another text"},
        {"window_tokens": 512},
        {"max_windows": 3},
        {"metrics": ("perplexity", "kld")},
    ],
)
def test_a_quality_check_is_another_as_soon_as_it_reads_in_another_way(
    changed: dict[str, object],
) -> None:
    check = support.quality_check()
    assert check.reading is not None
    other = dataclasses.replace(check.reading, **changed)  # type: ignore[arg-type]
    assert dataclasses.replace(check, reading=other).id != check.id


def test_a_task_is_another_with_other_questions_or_another_limit_but_not_another_name() -> None:
    def identity(exam: Exam) -> str:
        return support.quality_check(reading=None, exam=exam).id

    first = identity(Exam("/mine.jsonl", "a", 9))
    assert identity(Exam("/moved.jsonl", "a", 9)) == first
    assert identity(Exam("/mine.jsonl", "b", 9)) != first
    assert identity(Exam("/mine.jsonl", "a", None)) != first


def test_a_quality_check_is_another_with_another_base() -> None:
    bases = [None, support.model_file(quantization="F16"), support.model_file("b", "F16")]
    assert len({support.quality_check(base=base).id for base in bases}) == 3


def test_json_is_one_line() -> None:
    assert "\n" not in to_json(support.failed_round())


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="surprise"):
        from_json(Workload, '{"name": "w", "prompt_tokens": 1, "output_tokens": 1, "surprise": 1}')


def test_a_trial_is_the_same_wherever_its_file_lies_and_whatever_it_is_called() -> None:
    trial = support.trial()
    moved = dataclasses.replace(trial.model, path="/elsewhere.gguf", name="renamed")
    renamed = dataclasses.replace(trial.workload, name="renamed")
    assert dataclasses.replace(trial, model=moved, workload=renamed).id == trial.id


@pytest.mark.parametrize(
    "changed",
    [
        support.trial(device_id="another"),
        support.trial(threads=3),
        support.trial(support.model_file(quantization="Q8_0")),
        dataclasses.replace(support.trial(), workload=Workload("short", 128, 65)),
        dataclasses.replace(support.trial(), workload=Workload("short", 128, 64, depth_tokens=1)),
        dataclasses.replace(support.trial(), workload=Workload("short", 128, 64, seed=1)),
        dataclasses.replace(
            support.trial(), engine=dataclasses.replace(support.engine(), version="0.3.37")
        ),
    ],
)
def test_a_trial_is_another_as_soon_as_what_is_measured_differs(changed: object) -> None:
    assert changed.id != support.trial().id  # type: ignore[attr-defined]


def test_bits_per_weight_come_from_bytes_and_weights() -> None:
    file = dataclasses.replace(support.model_file(), weight_bytes=450, n_weights=800)
    assert file.file_bpw == 4.5


def test_decode_speed_is_tokens_over_their_time() -> None:
    assert support.repeat(token_s=0.02).decode_tok_s == pytest.approx(50)


def test_a_failure_keeps_the_message_the_remedy_and_the_traceback() -> None:
    try:
        raise ModelMissing("no file /m.gguf", "check the path")
    except ModelMissing as error:
        failure = Failure.of(error)
    assert (failure.kind, failure.message) == ("ModelMissing", "no file /m.gguf")
    assert failure.remedy == "check the path"
    assert "Traceback" in failure.traceback


def test_results_survive_the_way_between_processes() -> None:
    result = support.failed_round()
    assert pickle.loads(pickle.dumps(result)) == result


@given(st.integers(1, 50))
def test_tokens_meet_more_of_the_experts_the_more_they_are(tokens: int) -> None:
    model = support.model_file()
    half = model.weight_bytes // 2
    groups = (
        WeightGroup(Use.TOKENS, "Q4_0", model.weight_bytes - half),
        WeightGroup(Use.TOKENS, "Q4_0", half, experts=4, experts_used=1),
    )
    mixture = dataclasses.replace(model, anatomy=Anatomy(groups))
    assert model.met_share(tokens) == 1
    assert mixture.met_share(1) == pytest.approx(1 - 0.75 * half / model.weight_bytes)
    assert mixture.met_share(tokens) < mixture.met_share(tokens + 1) <= 1
