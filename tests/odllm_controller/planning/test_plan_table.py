import dataclasses

import pytest

from odllm_agent.contract import Failure, Forecast, ModelRequest, Quantization, Source, Workload
from odllm_controller.planning.estimate import Estimate, TimeBasis
from odllm_controller.planning.plan_table import Row, Totals
from tests import support

GUESS = Estimate(12.5, TimeBasis.STORED)


def row(forecast: Forecast, guess: Estimate | None = GUESS) -> Row:
    return Row.of(support.device(), forecast, guess)


def too_large() -> Forecast:
    return dataclasses.replace(
        support.forecast(support.model_file(quantization="F16")), available_bytes=10**6
    )


def test_a_row_tells_of_file_memory_and_time() -> None:
    forecast = support.forecast()
    found = row(forecast)
    assert forecast.model
    assert forecast.memory
    assert (found.device, found.model, found.quantization) == ("laptop", "reference-1.6M", "Q4_0")
    assert (found.engine, found.workload) == ("llama_cpp", "short")
    assert (found.file_bpw, found.file_bytes) == (4.5, forecast.model.file_bytes)
    assert (found.memory_bytes, found.needed_bytes) == (
        forecast.memory.peak_bytes,
        forecast.memory.needed_bytes,
    )
    assert (found.fits, found.reason) == (True, "")
    assert (found.estimate_s, found.time_basis) == (12.5, "stored")


def test_what_cannot_run_says_why() -> None:
    found = row(too_large())
    assert found.fits is False
    assert "0.00 GB are free" in found.reason
    assert found.memory_bytes


def test_what_is_not_known_is_neither_zero_nor_a_verdict() -> None:
    failure = Failure("ModelMissing", "there is no model file /gone.gguf")
    gone = dataclasses.replace(support.forecast(), model=None, memory=None, failure=failure)
    found = row(gone, None)
    assert (found.file_bpw, found.file_bytes, found.memory_bytes) == (None, None, None)
    assert (found.fits, found.estimate_s, found.time_basis) == (None, None, None)
    assert found.reason == "there is no model file /gone.gguf"
    assert found.quantization == "Q4_0"


def test_memory_that_an_engine_cannot_tell_is_missing_with_its_reason() -> None:
    found = row(dataclasses.replace(support.forecast(), memory=None, reason="it cannot tell"))
    assert (found.memory_bytes, found.fits, found.reason) == (None, True, "it cannot tell")


def test_what_is_unknown_is_told_with_what_to_do_and_is_not_counted_as_what_can_run() -> None:
    failure = Failure("ModelInvalid", "/m.gguf is an HTML page", "download it again")
    page = dataclasses.replace(support.forecast(), model=None, memory=None, failure=failure)
    found = [row(page, None), row(support.forecast()), row(too_large())]
    totals = Totals.of(found)
    assert (totals.trials, totals.unknown, totals.skipped) == (1, 1, 1)
    assert [each.remedy for each in found] == ["download it again", "", ""]


@pytest.mark.parametrize(
    ("prompt", "output", "depth", "beyond"),
    [(192, 64, 0, False), (193, 64, 0, True), (128, 64, 64, False), (8, 8, 1000, True)],
)
def test_more_context_than_the_model_was_made_for_is_told(
    prompt: int, output: int, depth: int, beyond: bool
) -> None:
    forecast = support.forecast()
    workload = Workload("long", prompt, output, depth_tokens=depth)
    asked = dataclasses.replace(forecast.candidate, workload=workload)
    found = row(dataclasses.replace(forecast, candidate=asked))
    told = f"{prompt + output + depth:,} tokens of context, and the model was made for 256"
    assert found.fits is True
    assert (found.model_context_tokens, found.context_reason) == (256, told if beyond else "")


def test_totals_count_a_file_once_and_what_cannot_run_not_at_all() -> None:
    once = support.forecast()
    deep = dataclasses.replace(
        once.candidate, workload=Workload("deep", 128, 64, depth_tokens=1000)
    )
    again = dataclasses.replace(once, candidate=deep)
    other = dataclasses.replace(
        support.forecast(support.model_file("other")),
        candidate=dataclasses.replace(
            once.candidate,
            request=ModelRequest("other", Source.REFERENCE, "other", Quantization("Q4_0")),
        ),
        disk_bytes=7,
        download_bytes=5,
    )
    smaller = dataclasses.replace(other, model=support.model_file("other", "Q2_K"))
    totals = Totals.of([row(each) for each in (once, again, other, smaller, too_large())])
    assert (totals.trials, totals.unknown, totals.skipped) == (4, 0, 1)
    assert totals.download_bytes == 5
    assert totals.disk_bytes == once.disk_bytes + 2 * (7 - 5) + 5
    assert totals.estimate_s == 4 * 12.5
