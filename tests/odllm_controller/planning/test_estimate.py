import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Anatomy, Failure, Forecast, ModelFile, Use, WeightGroup
from odllm_controller.analysis.queries.speeds import Speed
from odllm_controller.experiment.config import RepeatsConfig
from odllm_controller.planning.estimate import Estimate, TimeBasis, estimate
from tests import support

ONCE = RepeatsConfig(warmups=0, at_least=1, at_most=1, interval_target=0.02)
SPEED = Speed(
    engine="llama_cpp",
    file_bytes=1_000_000,
    weight_bytes=900_000,
    n_weights=1_600_000,
    start_s=0.4,
    load_s=0.1,
    prefill_token_s=0.001,
    decode_token_s=0.01,
)
# The workload of a forecast: 128 tokens in, 64 out.
WINDOWS_S = 128 * 0.001 + 64 * 0.01


def told(
    forecast: Forecast, *speeds: Speed, repeats: RepeatsConfig = ONCE, rounds: int = 1
) -> Estimate:
    found = estimate(forecast, support.device(), speeds, repeats, rounds)
    assert found
    return found


def sized(times: float) -> ModelFile:
    """A file so many times as large as that of `SPEED`."""
    return dataclasses.replace(
        support.model_file(),
        file_bytes=int(1_000_000 * times),
        weight_bytes=int(900_000 * times),
        n_weights=int(1_600_000 * times),
    )


def test_every_round_may_wait_for_the_device_to_cool_down() -> None:
    at_once = told(support.forecast(sized(1)), SPEED, rounds=3)
    waiting = estimate(support.forecast(sized(1)), support.device(), [SPEED], ONCE, 3, 10.0)
    assert waiting
    assert waiting.estimate_s - at_once.estimate_s == pytest.approx(30.0)


def test_the_same_file_takes_what_it_took() -> None:
    found = told(support.forecast(sized(1)), SPEED)
    assert found.estimate_s == pytest.approx(0.5 + WINDOWS_S)
    assert found.basis == TimeBasis.STORED


@given(st.integers(1, 10_000))
def test_weights_take_time_and_starting_does_not(times: int) -> None:
    found = told(support.forecast(sized(times)), SPEED)
    assert found.estimate_s == pytest.approx(0.4 + times * (0.1 + WINDOWS_S))


@given(st.integers(0, 3), st.integers(1, 20), st.integers(1, 5))
def test_every_repeat_of_every_round_counts(warmups: int, at_most: int, rounds: int) -> None:
    repeats = RepeatsConfig(warmups=warmups, at_least=1, at_most=at_most, interval_target=0.02)
    found = told(support.forecast(sized(1)), SPEED, repeats=repeats, rounds=rounds)
    assert found.estimate_s == pytest.approx(rounds * (0.5 + (warmups + at_most) * WINDOWS_S))


def test_what_is_in_the_context_before_is_handed_over_too() -> None:
    forecast = support.forecast(sized(1))
    workload = dataclasses.replace(forecast.candidate.workload, depth_tokens=1000)
    deep = dataclasses.replace(
        forecast, candidate=dataclasses.replace(forecast.candidate, workload=workload)
    )
    assert told(deep, SPEED).estimate_s - told(forecast, SPEED).estimate_s == pytest.approx(1.0)


def test_the_trial_nearest_in_size_is_scaled() -> None:
    far = dataclasses.replace(SPEED, weight_bytes=9_000, start_s=1000.0)
    assert told(support.forecast(sized(2)), far, SPEED).estimate_s < 1000


def test_another_engine_tells_nothing() -> None:
    other = dataclasses.replace(SPEED, engine="openvino")
    assert told(support.forecast(), other).basis == TimeBasis.ASSUMED


def test_without_results_a_quota_is_assumed_to_make_prefill_longer() -> None:
    free, limited = (
        estimate(support.forecast(), support.device(quota_cores=cores), [], ONCE, 1)
        for cores in (None, 1.0)
    )
    assert free
    assert limited
    assert limited.estimate_s > free.estimate_s


def test_without_results_a_mixture_is_assumed_to_take_what_its_experts_do() -> None:
    dense = sized(1000)
    group = WeightGroup(Use.TOKENS, "Q4_0", dense.weight_bytes, 1, experts=8, experts_used=2)
    mixture = dataclasses.replace(dense, anatomy=Anatomy((group,)))
    loading_s = 0.5 + dense.file_bytes / 1e9
    whole, part = (told(support.forecast(each)).estimate_s - loading_s for each in (dense, mixture))
    assert part == pytest.approx(whole / 4)


def test_without_results_a_larger_model_is_assumed_to_take_longer() -> None:
    small, large = (told(support.forecast(sized(times))) for times in (1, 1000))
    assert small.basis == large.basis == TimeBasis.ASSUMED
    assert 0 < small.estimate_s < large.estimate_s


def test_nothing_is_guessed_of_a_model_that_is_not_known() -> None:
    unknown = dataclasses.replace(
        support.forecast(), model=None, memory=None, failure=Failure("ModelMissing", "no file")
    )
    assert estimate(unknown, support.device(), [SPEED], ONCE, 1) is None
