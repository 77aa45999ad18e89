"""Quality checks: the order, and the scores."""

import dataclasses
from dataclasses import dataclass

from odllm_agent.contract.failure import Failure
from odllm_agent.contract.model import ModelFile
from odllm_agent.contract.trial import Engine
from odllm_agent.contract.wire import _digest


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text is read, to see how well a model foresees it.

    Attributes:
        text: The text's name, or its path on the device.
        sha256: The checksum of the text.
        window_tokens: Tokens per context window.
        max_windows: Windows after which to stop, or `None` to read all.
        metrics: The scores wanted, of `perplexity`, `kld`, `top1_agreement`, `delta_p` and
            `delta_p_rms`.
    """

    text: str
    sha256: str
    window_tokens: int
    max_windows: int | None
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exam:
    """A task whose questions a model answers.

    Attributes:
        task: The task's name, or the path of its file on the device.
        sha256: The checksum of its content.
        limit: Questions after which to stop, or `None` to ask all.
        allow_code: Whether code that the model writes may be run.
    """

    task: str
    sha256: str
    limit: int | None
    allow_code: bool = False


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """The order to find out how good one model file is on one engine.

    Exactly one of `reading` and `exam` is set.

    Attributes:
        device_id: The device that computes it.
        model: The file.
        engine: The engine with its settings.
        reading: The text to read.
        exam: The task to solve.
        base: The unquantized file to compare with, or `None`.
        base_reason: Why there is none; empty where there is one, or none is needed.
        deadline_s: The time after which the worker is ended.
    """

    device_id: str
    model: ModelFile
    engine: Engine
    reading: Reading | None = None
    exam: Exam | None = None
    base: ModelFile | None = None
    base_reason: str = ""
    deadline_s: float = 3600.0

    @property
    def id(self) -> str:
        """A hash of exactly what is computed; names and paths do not count."""
        subject = self.reading or self.exam
        content = dataclasses.asdict(subject) if subject else {}
        return _digest(
            {
                "device": self.device_id,
                "model": self.model.sha256,
                "engine": dataclasses.asdict(self.engine),
                "base": self.base.sha256 if self.base else None,
                "subject": content | {"text": None, "task": None},
            }
        )

    @property
    def subject(self) -> str:
        """The name of the text or task."""
        return self.reading.text if self.reading else self.exam.task if self.exam else ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the scores that it gives."""
        return self.reading.metrics if self.reading else ("accuracy",)

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"{self.model.label}, quality on {self.subject}"

    @property
    def longest_s(self) -> float:
        """The most that it takes its device."""
        return self.deadline_s

    def failed(self, failure: "Failure") -> "QualityResult":
        """The result if it could not even be tried."""
        return QualityResult(self, failure=failure)


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of a quality check.

    Attributes:
        metric: Its name, one of the check's metrics.
        value: The figure, or `None`.
        standard_error: Of the value, or `None`.
        n: The tokens or questions that it rests on.
        reason: Why there is no value; empty where there is one.
    """

    metric: str
    value: float | None
    standard_error: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QualityResult:
    """What a quality check gave.

    Attributes:
        check: What was asked.
        scores: One per metric of the check, unless it failed.
        wall_s: From starting the worker to its end.
        failure: Why there are no scores, or `None`.
    """

    check: QualityCheck
    scores: tuple[Score, ...] = ()
    wall_s: float = 0.0
    failure: Failure | None = None

    @property
    def ran(self) -> QualityCheck:
        """What ran on an engine."""
        return self.check

    @property
    def device_id(self) -> str:
        """Where."""
        return self.check.device_id

    @property
    def complete(self) -> bool:
        """Whether trying again would bring nothing new.

        A score that is missing although there is a file to compare with wanted only memory.
        """
        missing = any(score.value is None for score in self.scores)
        return self.failure is None and not (self.check.base and missing)
