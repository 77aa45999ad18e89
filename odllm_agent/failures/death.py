"""What is said of a worker that ended without an answer."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from odllm_agent.contract import (
    CeilingsOrder,
    Engine,
    Failure,
    Measurement,
    ModelFile,
    QualityCheck,
    Rehearsal,
    Source,
)
from odllm_agent.errors import WorkerDied, WorkerLate

# Native code ends so by itself: it read where nothing is, or used what the processor has not.
_CRASHES = frozenset({"SIGSEGV", "SIGILL", "SIGFPE", "SIGTRAP"})
_FROM_OUTSIDE = frozenset({Source.FILE, Source.HUB, Source.PACKAGE})
_REMEDIES: Mapping[str, str] = {
    "SIGKILL": "often the system's out-of-memory killer: see dmesg, or take a smaller model",
    "SIGABRT": "the engine gave up: its last words are in the log below",
    "SIGBUS": (
        "mostly a page of a mapped file that could not be read: the file became shorter meanwhile, "
        "or its disk or network failed; see whether the model file is whole, and dmesg"
    ),
}


@dataclass(frozen=True, slots=True)
class Deed:
    """What a worker was at.

    Attributes:
        told: What it did, in words that follow `while it`.
        engine: The engine that it ran, or `""`.
        source: Where the model came from, or `None` if that is not known or there is none.
        run: The engine with its settings, and the file, if it ran one.
    """

    told: str
    engine: str = ""
    source: Source | None = None
    run: tuple[Engine, ModelFile] | None = None

    @classmethod
    def of(cls, order: Measurement | QualityCheck | CeilingsOrder | Rehearsal) -> Self:
        """What a worker does with an order."""
        match order:
            case Measurement(trial=trial):
                return cls._with_file("measured", trial.model, trial.engine)
            case QualityCheck(model=model, engine=engine):
                return cls._with_file("checked the quality of", model, engine)
            case Rehearsal(model=model, engine=engine):
                return cls._with_file("tried out the header of", model, engine)
            case CeilingsOrder(engine=engine):
                return cls("found out what this device does at most", engine.name)

    @classmethod
    def _with_file(cls, verb: str, model: ModelFile, engine: Engine) -> Self:
        return cls(f"{verb} {model.label}", engine.name, model.source, (engine, model))

    @property
    def actor(self) -> str:
        """Who does it."""
        return self.engine or "the worker"


def crashed(status: int) -> bool:
    """Whether native code ended itself so that the build or the file may be at fault."""
    return status < 0 and signal.Signals(-status).name in _CRASHES


def death(status: int, deed: Deed, types_run: bool | None = None) -> Failure:
    """The failure of a worker that ended without an answer.

    Args:
        status: Its exit status; a signal's number below 0, as `subprocess` gives it.
        deed: What it was at.
        types_run: Whether the engine as it is built computes the types of this file rightly on this
            device, or `None` if that is not known: then neither the build nor the file is blamed.
    """
    if status > 0:
        return Failure.of(
            WorkerDied(
                f"{deed.actor} ended with exit status {status} and without an answer",
                "its last words are in the log below",
            )
        )
    name = signal.Signals(-status).name
    message = f"{deed.actor} was ended by {name} while it {deed.told}"
    of_engine = crashed(status) and deed.engine
    remedy = _of_crash(deed, types_run) if of_engine else _REMEDIES.get(name, _UNKNOWN)
    return replace(Failure.of(WorkerDied(message, remedy)), signal=name)


def lateness(deadline_s: float, deed: Deed) -> Failure:
    """The failure of a worker that was ended because its time was over.

    Args:
        deadline_s: The time that it had.
        deed: What it was at.
    """
    return Failure.of(
        WorkerLate(
            f"{deed.actor} had not ended after {deadline_s:g} s and was killed",
            "raise deadline_s, or take a smaller model or workload",
        )
    )


_UNKNOWN = "something on the device ended it"


def _of_crash(deed: Deed, types_run: bool | None) -> str:
    if types_run is None:
        return "`odllm-agent doctor` tries whether the engine's build computes this type here"
    if not types_run:
        return (
            "the engine's build does not compute this type on this device: "
            "`odllm-agent doctor` tells which it does"
        )
    if deed.source in _FROM_OUTSIDE:
        return (
            "the engine computes files of these types rightly here, "
            "so this file may be damaged or hostile"
        )
    return "the engine computes files of these types rightly here: see its last words below"
