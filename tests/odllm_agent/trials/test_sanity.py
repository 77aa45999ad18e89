"""What a result from elsewhere must keep to."""

import dataclasses
from datetime import UTC, datetime

import pytest

from odllm_agent.contract import Engine, FileState, Phase
from odllm_agent.trials import sanity
from tests import support


def repeated(**changes: object) -> object:
    return support.round_result(repeats=(support.repeat(1, **changes),))  # type: ignore[arg-type]


def energy(**changes: object) -> object:
    return repeated(energy=(support.energy(Phase.DECODE, 1.0, **changes),))


def model(**changes: object) -> object:
    file = dataclasses.replace(support.model_file(), **changes)  # type: ignore[arg-type]
    return support.trial(file)


def with_settings(name: str, **settings: int | str) -> object:
    return dataclasses.replace(support.trial(), engine=Engine(name, "1", settings))


@pytest.mark.parametrize(
    "value",
    [
        support.round_result(),
        support.failed_round(),
        support.baseline(idle_w=1.0),
        support.ceilings(read=1e10, Q4_0=None),
        support.quality_result(value=None),
        support.device(),
        model(name="n" * 10_000),
        model(path="../../../etc/passwd"),
        model(files=(FileState("m.gguf", "0" * 64, 2**64 - 1, 2**64 - 1, 1, -(2**63), 2**63 - 1),)),
    ],
)
def test_what_was_measured_passes(value: object) -> None:
    sanity.check(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (repeated(prefill_s=0.0), "prefill_s"),
        (repeated(prefill_s=-1.0), "prefill_s"),
        (repeated(ttft_s=0.0), "ttft_s"),
        (repeated(token_s=0.0), "token_s"),
        (repeated(token_s=1e300), "1e[+]300"),
        (repeated(wall_s=float("inf")), "inf"),
        (repeated(wall_s=float("nan")), "nan"),
        (repeated(wall_s=1e-300), "1e-300"),
        (repeated(started_at=datetime.min.replace(tzinfo=UTC)), "0001"),
        (repeated(flags=("a\0b",)), "no text"),
        (repeated(flags=("\ud800",)), "surrogates"),
        (energy(window_s=0.0), "window_s"),
        (energy(passes=0), "passes"),
        (model(n_weights=0), "n_weights"),
        (model(weight_bytes=10**19), "64 bits"),
        (with_settings("llama_cpp", threads="many"), "threads"),
        (with_settings("llama_cpp", threads=2**40), "threads"),
        (with_settings("llama_cpp"), "threads"),
        (with_settings("none", threads=1), "no engine named 'none'"),
        (support.ceilings(read=-1.0), "per_s"),
        (support.round_result(round_index=2**31), "round"),
        (support.device(logical_cores=-1), "logical_cores"),
        (support.device(online_cpus=-1), "online_cpus"),
        (support.device(present_cpus=2**31), "present_cpus"),
        (support.device(quota_cores=0.0), "quota_cores"),
    ],
)
def test_what_nobody_can_have_measured_is_refused(value: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        sanity.check(value)
