"""The process that one trial runs in, seen from both of its ends.

The agent starts a fresh worker for each trial in each round, so that a crash, an out-of-memory
kill or a hostile file costs that trial alone. The order goes in as one line of JSON; the answers
are JSON lines in a file, which the agent reads only once the worker has ended: until then the
agent sleeps in the kernel, and no one shares the cores that are being measured.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

from odllm_agent import engines
from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import (
    Ceilings,
    CeilingsOrder,
    Exam,
    Failure,
    Finished,
    Loaded,
    Measurement,
    ModelFile,
    Order,
    QualityCheck,
    QualityResult,
    Rehearsal,
    Rehearsed,
    Repeat,
    Rest,
    Result,
    RoundResult,
    from_json,
    from_plain,
    to_json,
)
from odllm_agent.engines import fallback
from odllm_agent.errors import ModelChanged, SettingError, WorkerDied
from odllm_agent.failures import Deed, death
from odllm_agent.failures.death import crashed, lateness
from odllm_agent.host import cooldown, state
from odllm_agent.processes import child
from odllm_agent.trials import baseline

_LOG_LINES = 20
_ANSWERS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (Loaded, Repeat, Finished, QualityResult, Exam, Rehearsed, Ceilings, Failure)
}


@dataclass(frozen=True, slots=True)
class WorkerEnd:
    """What a worker left behind.

    Attributes:
        answers: What it said, in order.
        failure: Why it failed, or `None`.
        log: All that it and its engine said.
    """

    answers: tuple[object, ...]
    failure: Failure | None
    log: str

    def all_of(self, kind: type[Any]) -> tuple[Any, ...]:
        """The answers of one type."""
        return tuple(answer for answer in self.answers if isinstance(answer, kind))

    def last_of(self, kind: type[Any]) -> Any | None:
        """The last answer of one type, or `None`."""
        return (self.all_of(kind) or (None,))[-1]

    def answer(self, kind: type[Any]) -> Any | Failure:
        """The one answer that was asked for, or why there is none."""
        if self.failure:
            return self.failure
        return self.last_of(kind) or Failure.of(WorkerDied("the worker ended without an answer"))


def perform(order: Order) -> Result:
    """Does what an order says; a failure is part of what it gives."""
    match order:
        case Measurement():
            return run_round(order)
        case QualityCheck():
            return run_check(order)
        case Rest():
            return baseline.watch(order)
        case CeilingsOrder():
            return run_ceilings(order)


def run_round(order: Measurement) -> RoundResult:
    """Measures one trial in one round in a process of its own.

    Returns:
        What was measured; a failure is part of it, never raised.
    """
    try:
        waited_s = cooldown.wait(order.cooldown)
    except SettingError as error:
        return RoundResult(order.trial, order.round, now(), 0.0, failure=Failure.of(error))
    available_bytes = state.available_bytes()
    started_at, start = now(), monotonic_ns()
    ended = _run_on("measure", order, (order.trial.model,))
    return RoundResult(
        trial=order.trial,
        round=order.round,
        started_at=started_at,
        wall_s=seconds_since(start),
        loaded=ended.last_of(Loaded),
        repeats=ended.all_of(Repeat),
        finished=_with_told_memory(ended, order),
        failure=ended.failure,
        waited_s=waited_s,
        available_before_bytes=available_bytes,
        available_after_bytes=state.available_bytes(),
    )


def _with_told_memory(ended: WorkerEnd, order: Measurement) -> Finished | None:
    finished: Finished | None = ended.last_of(Finished)
    if finished is None:
        return None
    told = engines.with_told(finished.held, order.trial.engine, ended.log)
    return replace(finished, held=told)


def run_check(check: QualityCheck) -> QualityResult:
    """Carries out a quality check in a process of its own; a failure is part of the result."""
    start = monotonic_ns()
    ended = _run_on("check", check, filter(None, (check.model, check.base)))
    found = ended.last_of(QualityResult) or QualityResult(check)
    return replace(found, wall_s=seconds_since(start), failure=ended.failure)


def run_rehearsal(order: Rehearsal) -> Rehearsed | Failure:
    """Loads a model without its weights in a process of its own."""
    ended = _run("rehearse", to_json(order), order.deadline_s, Deed.of(order))
    found: Rehearsed | Failure = ended.answer(Rehearsed)
    return found if isinstance(found, Failure) else replace(found, log=ended.log)


def run_ceilings(order: CeilingsOrder) -> Ceilings:
    """Finds out what this device does at most in a process of its own.

    Returns:
        The ceilings; a failure is part of them, never raised.
    """
    started_at = now()
    ended = _run("ceilings", to_json(order), order.deadline_s, Deed.of(order))
    found: Ceilings | Failure = ended.answer(Ceilings)
    return Ceilings(order, started_at, failure=found) if isinstance(found, Failure) else found


def run_look_up(exam: Exam, deadline_s: float) -> Exam | Failure:
    """Finds out what a task asks, in a process of its own, since a task may run code of its own.

    Args:
        exam: The task.
        deadline_s: The time after which the process is ended.

    Returns:
        The exam with the checksum of its content, or why it cannot be had.
    """
    deed = Deed(f"looked up the questions of {exam.task}")
    found: Exam | Failure = _run("look_up", to_json(exam), deadline_s, deed).answer(Exam)
    return found


def _run_on(task: str, order: Measurement | QualityCheck, models: Iterable[ModelFile]) -> WorkerEnd:
    """Runs a worker on model files; what it says counts only if they were those described."""
    files, deed = tuple(models), Deed.of(order)
    changed = _changed(files)
    if changed:
        return WorkerEnd((), changed, "")
    ended = _run(task, to_json(order), order.deadline_s, deed)
    changed = _changed(files)
    return ended if changed is None else WorkerEnd((), _told_with(changed, ended, deed), ended.log)


def _changed(models: Iterable[ModelFile]) -> Failure | None:
    """Which model file is no longer the one whose checksum was taken."""
    from odllm_agent.cache.change import refuse_changed  # noqa: PLC0415 - the agent's end alone

    try:
        for model in models:
            refuse_changed(model)
    except ModelChanged as error:
        return Failure.of(error)
    return None


def _told_with(changed: Failure, ended: WorkerEnd, deed: Deed) -> Failure:
    """The failure of a changed file, with what came of the worker that ran on it."""
    if ended.failure is None:
        return changed
    signal, log = ended.failure.signal, ended.failure.log
    died = f", and {deed.actor} was ended by {signal} while it {deed.told}" if signal else ""
    return replace(changed, message=changed.message + died, signal=signal, log=log)


def _run(task: str, order: str, deadline_s: float, deed: Deed) -> WorkerEnd:
    # Files without a name: whatever ends this process meanwhile, nothing stays behind.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as answers,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
    ):
        command = [sys.executable, "-m", "odllm_agent.trials.worker", task]
        status = child.ended(command, deadline_s, order=order, output=answers, errors=log).status
        # The worker wrote at the place that it shares with this process.
        answers.seek(0)
        log.seek(0)
        told, said = tuple(_parse(answers.read())), log.read()
    last_lines = "\n".join(said.splitlines()[-_LOG_LINES:])
    kept = tuple(answer for answer in told if not isinstance(answer, Failure))
    # What a worker told itself says more than how it ended.
    failure = told[-1] if told and isinstance(told[-1], Failure) else None
    if failure is None and status is None:
        failure = lateness(deadline_s, deed)
    elif failure is None and status:
        failure = death(status, deed, _types_run(deed) if crashed(status) else None)
    failure = failure and replace(failure, log=failure.log or last_lines)
    return WorkerEnd(kept, failure, said)


def _parse(text: str) -> Iterator[object]:
    """The answers in a worker's file; a last line cut off by a kill is left out."""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            ((name, answer),) = json.loads(line).items()
            yield from_plain(_ANSWERS[name], answer)


def _types_run(deed: Deed) -> bool | None:
    """Whether what the build of an engine was tried with says that a file should have run."""
    if deed.run is None:
        return None
    from odllm_agent.builds import builds  # noqa: PLC0415 - the worker's own end needs none of it

    engine, file = deed.run
    return fallback.should_run(engine, builds().tried, file)


def main(task: str) -> int:
    """The worker's own end: reads the order, does the task, says what it finds."""
    order = sys.stdin.readline()
    child.end_with_parent()
    with _answers() as out:

        def say(answer: object) -> None:
            out.write(to_json({type(answer).__name__: answer}) + "\n")
            out.flush()

        try:
            _TASKS[task](order, say)
        except Exception as error:  # noqa: BLE001 - the failure becomes data
            say(Failure.of(error))
            return 1
    return 0


def _measure(order: str, say: Callable[[object], None]) -> None:
    from odllm_agent.trials.trial import measure  # noqa: PLC0415 - the agent's end needs no engine

    measure(from_json(Measurement, order), say)


def _check(order: str, say: Callable[[object], None]) -> None:
    from odllm_agent.quality.check import evaluate  # noqa: PLC0415 - as above

    say(evaluate(from_json(QualityCheck, order)))


def _rehearse(order: str, say: Callable[[object], None]) -> None:
    from odllm_agent.trials.dry_run import rehearse  # noqa: PLC0415 - as above

    say(rehearse(from_json(Rehearsal, order)))


def _ceilings(order: str, say: Callable[[object], None]) -> None:
    from odllm_agent.trials.ceilings import measure  # noqa: PLC0415 - as above

    say(measure(from_json(CeilingsOrder, order)))


def _look_up(order: str, say: Callable[[object], None]) -> None:
    from odllm_agent.quality.examining import look_up  # noqa: PLC0415 - as above

    say(look_up(from_json(Exam, order)))


_TASKS: Mapping[str, Callable[[str, Callable[[object], None]], None]] = {
    "measure": _measure,
    "check": _check,
    "rehearse": _rehearse,
    "look_up": _look_up,
    "ceilings": _ceilings,
}


@contextlib.contextmanager
def _answers() -> Iterator[IO[str]]:
    """The file of answers, out of reach of whatever native code prints to stdout."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        yield out


if __name__ == "__main__":
    # Everything is said and its file closed; taking the interpreter apart would only cost time.
    os._exit(main(sys.argv[1]))
