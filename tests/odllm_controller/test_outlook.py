import dataclasses

from odllm_agent.contract import Failure, Forecast, ModelRequest, Quantization, Source, Workload
from odllm_controller.estimate import Estimate, TimeBasis
from odllm_controller.outlook import Row, Totals
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


def test_totals_count_a_file_once_and_what_cannot_run_not_at_all() -> None:
    once = support.forecast()
    deep = dataclasses.replace(
        once.candidate, workload=Workload("deep", 128, 64, depth_tokens=1000)
    )
    again = dataclasses.replace(once, candidate=deep)
    other = dataclasses.replace(
        support.forecast(),
        candidate=dataclasses.replace(
            once.candidate,
            request=ModelRequest("other", Source.REFERENCE, "other", Quantization.Q4_0),
        ),
        disk_bytes=7,
        download_bytes=5,
    )
    smaller = dataclasses.replace(other, model=support.model_file(quantization="Q2_K"))
    totals = Totals.of([row(each) for each in (once, again, other, smaller, too_large())])
    assert (totals.trials, totals.skipped) == (4, 1)
    assert totals.download_bytes == 5
    assert totals.disk_bytes == once.disk_bytes + 2 * (7 - 5) + 5
    assert totals.estimate_s == 4 * 12.5
