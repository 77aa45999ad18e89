"""What failed, in words."""

from dataclasses import dataclass
from typing import Self

from odllm_agent.contract import (
    Baseline,
    Ceilings,
    ModelFile,
    ModelRequest,
    QualityResult,
    Result,
    RoundResult,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What failed.

    Attributes:
        noun: What it is one of, such as `round`.
        told: What people are told that it is.
        engine: The engine that it ran on, or `""`.
        quantization: The type of its model file, or `""`.
        own: What a message may name that others of its kind have otherwise: names, paths, types.
    """

    noun: str
    told: str
    engine: str = ""
    quantization: str = ""
    own: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: Result) -> Self:
        """What a result is of."""
        match result:
            case RoundResult(trial=trial, round=index):
                told = f"{trial.model.label}, round {index + 1}"
                return cls("round", told, trial.engine.name, *_of_file(trial.model))
            case QualityResult(check=check):
                return cls("quality check", check.told, check.engine.name, *_of_file(check.model))
            case Baseline(round=index):
                return cls("rest", f"the rest before round {index + 1}")
            case Ceilings(order=order):
                return cls("ceiling test", order.told, order.engine.name)

    @classmethod
    def of_request(cls, request: ModelRequest) -> Self:
        """A model that could not be made ready."""
        quantization = str(request.quantization or "")
        own = (request.location, request.name, request.label, request.sha256 or "", quantization)
        return cls("model", request.label, quantization=quantization, own=own)


def _of_file(model: ModelFile) -> tuple[str, tuple[str, ...]]:
    """The type of a file, and what only it is called."""
    own = (model.path, model.label, model.name, model.sha256, model.quantization)
    return model.quantization, own
