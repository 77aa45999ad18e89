"""What came of the smoke experiment on a machine, by what its agent wrote down."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from odllm_agent.contract import EngineBuild, QualityResult, RoundResult, Score
from odllm_agent.offline.logbook import Opening, Planned, Unprepared

Scores = Mapping[tuple[str, str, str], float]
"""Figures by the type of weights, what was read or asked, and the metric."""

Kind = TypeVar("Kind")

_SAME = 0.002
# Another processor rounds its sums otherwise. Then a question that hangs in the balance may fall
# the other way, and of two predictions that are almost equal the difference is mostly rounding.
_ALLOWED: Mapping[str, float] = {
    "accuracy": 0.05,
    "kld": 0.0002,
    "top1_agreement": 0.01,
    "delta_p": 0.001,
    "delta_p_rms": 0.002,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        cpu: What the agent calls the processor.
        build: How the engine was built, and what of that works there.
        planned: How many rounds of trials there were to be.
        measured: How many of them are whole.
        scores: How good each model file was.
        failures: What failed, in the agent's words.
    """

    cpu: str
    build: EngineBuild | None
    planned: int
    measured: int
    scores: Scores
    failures: tuple[str, ...]

    @classmethod
    def of(cls, entries: Iterable[object]) -> "Outcome":
        """What entries of a logbook tell."""
        found = tuple(entries)
        (opening, *_), planned = _all(found, Opening), _all(found, Planned)
        rounds, checks = _all(found, RoundResult), _all(found, QualityResult)
        failures = [
            *(each.failure for each in _all(found, Unprepared)),
            *(each.failure for each in rounds),
            *(each.failure for each in checks),
        ]
        return cls(
            cpu=opening.device.cpu,
            build=opening.device.builds.get("llama_cpp"),
            planned=sum(len(each.trials) * each.rounds for each in planned),
            measured=sum(each.complete for each in rounds),
            scores=dict(score for check in checks for score in _scores(check)),
            failures=tuple(failure.message for failure in failures if failure),
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """What of the engine's build does not work there, which the experiment must do without."""
        if self.build is None:
            return ()
        untested = (self.build.untested,) if self.build.untested else ()
        return (
            *(f"{each.type}, {each.path}: {each.told}" for each in self.build.faults),
            *untested,
        )

    def wrongs(self, here: Scores | None = None) -> tuple[str, ...]:
        """What is not as it must be, in words.

        Args:
            here: The same figures from the processor that is here.
        """
        wrongs = [f"failed: {failure}" for failure in self.failures]
        if self.build is None or not self.build.tests:
            wrongs.append("the engine's build was not tried")
        if not self.planned or self.measured != self.planned:
            wrongs.append(f"measured {self.measured} of {self.planned} rounds")
        if not self.scores:
            wrongs.append("no score of quality")
        if here is not None:
            wrongs += _differences(self.scores, here)
        return tuple(wrongs)


def _differences(scores: Scores, here: Scores) -> list[str]:
    names = sorted(scores.keys() | here.keys())
    return [
        f"{' '.join(name)} is {scores.get(name)}, and {here.get(name)} here"
        for name in names
        if not _are_alike(name[-1], scores.get(name), here.get(name))
    ]


def _are_alike(metric: str, one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) <= max(_ALLOWED.get(metric, 0.0), _SAME * abs(other))


def _all(entries: Iterable[object], kind: type[Kind]) -> tuple[Kind, ...]:
    return tuple(entry for entry in entries if isinstance(entry, kind))


def _scores(result: QualityResult) -> Iterable[tuple[tuple[str, str, str], float]]:
    check = result.check
    told: Iterable[Score] = result.scores
    for score in told:
        if score.value is not None:
            yield (check.model.quantization, check.subject, score.metric), score.value
