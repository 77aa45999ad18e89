"""Failures, made for tests."""

from dataclasses import replace

from odllm_agent.contract import Engine, Failure, QualityResult, RoundResult, Trial
from tests import support

CRASH = Failure("WorkerDied", "llama_cpp was ended by SIGSEGV", "try its build", signal="SIGSEGV")


def trial(
    quantization: str = "Q4_0",
    model: str = "reference-1.6M",
    engine: str = "llama_cpp",
    **more: int,
) -> Trial:
    """A trial of a model at a type on an engine with settings."""
    found = support.trial(support.model_file(model, quantization), "id-of-laptop", **more)
    return replace(found, engine=Engine(engine, "1", found.engine.settings))


def failed(of: Trial, failure: Failure = CRASH, round_index: int = 0) -> RoundResult:
    """A round that gave nothing."""
    return RoundResult(of, round_index, support.STARTED, 1.0, failure=failure)


def unchecked(of: Trial, failure: Failure = CRASH) -> QualityResult:
    """A quality check of a trial's file that gave nothing."""
    return support.quality_check(of.model, engine=of.engine).failed(failure)
