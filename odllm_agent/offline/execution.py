"""Carrying out an assignment on this device alone: no controller, no Ray, no network of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from odllm_agent import models
from odllm_agent.contract import (
    CeilingKey,
    Ceilings,
    CeilingsOrder,
    Exam,
    Failure,
    ModelFile,
    ModelRequest,
    QualityCheck,
    QualityResult,
    Reading,
    RoundResult,
    Trial,
)
from odllm_agent.errors import DataMissing, OdllmError
from odllm_agent.host import state
from odllm_agent.offline.assignment import Assignment
from odllm_agent.statistics.interval import Rounds
from odllm_agent.texts.text import text_sha256
from odllm_agent.trials import orders, worker
from odllm_agent.trials.schedule import Schedule, Terms
from odllm_agent.trials.steps import rested, steps

# A task of lm-eval may have to be fetched.
_LOOK_UP_S = 24 * 3600

Prepare = Callable[[ModelRequest], ModelFile | Failure]


@dataclass(frozen=True, slots=True)
class Done:
    """What of an assignment was done before.

    Attributes:
        rounds: Whole rounds.
        checks: Ids of quality checks that need not be tried again.
        ceilings: What the device does at most.
    """

    rounds: tuple[RoundResult, ...]
    checks: frozenset[str]
    ceilings: frozenset[CeilingKey]

    @classmethod
    def of(cls, entries: Iterable[object]) -> "Done":
        """What was done, by the entries of a logbook."""
        rounds: list[RoundResult] = []
        checks: set[str] = set()
        ceilings: set[CeilingKey] = set()
        for each in entries:
            match each:
                case RoundResult() if each.complete:
                    rounds.append(each)
                case QualityResult() if each.complete:
                    checks.add(each.check.id)
                case Ceilings():
                    ceilings.update(_keys(each))
                case _:
                    pass
        return cls(tuple(rounds), frozenset(checks), frozenset(ceilings))

    def speeds(self) -> dict[str, Rounds]:
        """Decode speeds of the measured repeats, by trial id and round."""
        found: dict[str, Rounds] = {}
        for each in self.rounds:
            found[each.trial.id] = (*found.get(each.trial.id, ()), each.decode_tok_s)
        return found


def prepare(request: ModelRequest, cache: models.Cache) -> ModelFile | Failure:
    """Gets a model file ready on this device; a failure is data."""
    try:
        return models.prepare(request, cache, state.available_bytes())
    except OdllmError as error:
        return Failure.of(error)


def trials(asked: Assignment, files: Sequence[ModelFile]) -> tuple[Trial, ...]:
    """What is to be measured with the files that are there."""
    every = orders.trials(asked.device, files, asked.engines, asked.workloads)
    return orders.without(every, asked.skips)


def ceilings(asked: Assignment, planned: Sequence[Trial], done: Done) -> tuple[CeilingsOrder, ...]:
    """What of the device's ceilings is still to be found out."""
    if not asked.ceilings:
        return ()
    return orders.ceilings(asked.device, planned, done.ceilings.union(asked.known_ceilings))


def schedule(
    asked: Assignment, planned: Sequence[Trial], checks: Sequence[QualityCheck], done: Done
) -> Schedule:
    """What is still to be done, in order."""
    finished = {(each.trial.id, each.round) for each in done.rounds}
    left = steps(planned, asked.rounds, asked.experiment.seed, finished, asked.rounds_at_most)
    return Schedule(
        steps=rested(left, asked.device, asked.meters, asked.idle_s),
        checks=[check for check in checks if check.id not in done.checks],
        terms=Terms(asked.policy, asked.meters, asked.deadline_s, asked.cooldown),
        earlier_decode_tok_s=done.speeds(),
    )


def checks(
    asked: Assignment, files: Sequence[ModelFile], planned: Sequence[Trial], prepare: Prepare
) -> tuple[QualityCheck, ...]:
    """The quality checks of what is to be measured, against the content that is here.

    Raises:
        UsageError: There is no such text.
        DataMissing: The text, or the questions of a task, cannot be had.
    """
    subjects = tuple(_subjects(asked))
    metrics = asked.reading.metrics if asked.reading else ()
    wanted = orders.base_requests(asked.requests, metrics)
    bases = orders.bases((each, prepare(each)) for each in wanted)
    found = orders.checks(asked.device, files, asked.engines, subjects, bases, asked.deadline_s)
    return orders.of_trials(found, planned)


def _subjects(asked: Assignment) -> Iterator[Reading | Exam]:
    if asked.reading:
        yield replace(asked.reading, sha256=text_sha256(asked.reading.text))
    for exam in asked.exams:
        found = worker.run_look_up(exam, _LOOK_UP_S)
        if isinstance(found, Failure):
            raise DataMissing(found.message, found.remedy)
        yield found


def _keys(found: Ceilings) -> Iterator[CeilingKey]:
    """What of ceilings has a figure."""
    engine = found.order.engine
    for each in found.found:
        if each.per_s is not None:
            threads = int(engine.settings["threads"])
            yield CeilingKey(
                *(found.order.device_id, engine.name, engine.version, threads, each.name),
                engine_build=engine.build,
            )
