"""What a trial costs besides loading, warming up and its measured windows."""

import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from benchmarks.load import watched
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Measurement, Repeat, RepeatPolicy, RoundResult, Trial
from odllm_agent.errors import EngineError
from odllm_agent.trials import worker

ROUNDS_PER_TRIAL = 3
"""The rounds of the reference sweep."""

LEAST_ROUNDS = 5
LIMIT_S = 0.5
"""The most that is wanted of a whole trial, in seconds."""

# Each step holds the one before, so that differences tell what it adds.
_STARTS: Mapping[str, str] = {
    "Python itself": "pass",
    "ODLLM's modules": "import odllm_agent.trials.worker, odllm_agent.trials.trial",
    "llama_cpp and its packages": "import odllm_agent.trials.worker, odllm_agent.trials.trial;"
    " import odllm_agent.engines.llama_cpp.session",
}
_STARTS_MEASURED = 11


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds of one round of one trial that are neither loading nor a window.

    Attributes:
        start_s: From starting the worker to the first repeat, less the load.
        between_s: Between and around the windows: device states, meters, telling the repeats.
        end_s: From the last repeat to the worker's end, read and understood.
        repeats: Repeats in the round, the warm-up included.
        flags: What disturbed the round, such as `busy`.
    """

    start_s: float
    between_s: float
    end_s: float
    repeats: int
    flags: tuple[str, ...] = ()

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.start_s + self.between_s + self.end_s


@dataclass(frozen=True, slots=True)
class OverheadReport:
    """The overhead of a trial, measured over several rounds.

    Attributes:
        model: The model's name.
        rounds: In the order in which they were measured.
        starts_s: Medians of what starting a worker consists of, by step.
    """

    model: str
    rounds: tuple[Overhead, ...]
    starts_s: Mapping[str, float]

    def median_s(self, part: Callable[[Overhead], float]) -> float:
        """The median over the undisturbed rounds, or over all if each was disturbed."""
        rounds = [each for each in self.rounds if not each.flags] or self.rounds
        return statistics.median(map(part, rounds))

    @property
    def trial_s(self) -> float:
        """The overhead of a whole trial of the reference sweep."""
        return ROUNDS_PER_TRIAL * self.median_s(lambda each: each.total_s)

    def unmet(self) -> tuple[str, ...]:
        """The wanted limit if it is not met, in words."""
        if self.trial_s <= LIMIT_S:
            return ()
        return (f"{self.model}: {self.trial_s:.2f} s of overhead a trial, wanted {LIMIT_S} s",)


def measure(trial: Trial, meters: Sequence[str]) -> OverheadReport:
    """Measures a trial as the reference sweep does and tells what it cost besides.

    Args:
        trial: What to measure.
        meters: The power meters to read.

    Raises:
        EngineError: A round failed.
    """
    rounds: list[Overhead] = []
    while len(rounds) < 2 * LEAST_ROUNDS and sum(not e.flags for e in rounds) < LEAST_ROUNDS:
        order = Measurement(trial, len(rounds), RepeatPolicy(), meters=tuple(meters))
        with watched() as disturbance:
            result = worker.run_round(order)
        rounds.append(overhead(result, disturbance.flags))
    return OverheadReport(trial.model.name, tuple(rounds), _starts_s())


def overhead(result: RoundResult, flags: tuple[str, ...] = ()) -> Overhead:
    """The overhead of a round that ended well; its parts are all of it.

    Raises:
        EngineError: The round failed.
    """
    if result.failure or not result.loaded:
        failure = result.failure
        raise EngineError(*((failure.message, failure.remedy) if failure else ("no answer",)))
    repeats = result.repeats
    start = repeats[0].started_at - result.started_at
    end = result.started_at + timedelta(seconds=result.wall_s) - repeats[-1].started_at
    last_s = window_s(repeats[-1])
    inner = repeats[-1].started_at - repeats[0].started_at
    return Overhead(
        start_s=start.total_seconds() - result.loaded.load_s,
        between_s=inner.total_seconds() - sum(map(window_s, repeats[:-1])),
        end_s=end.total_seconds() - last_s,
        repeats=len(repeats),
        flags=flags,
    )


def window_s(repeat: Repeat) -> float:
    """The measured part of a repeat: to the first token, every token after it, further passes."""
    further_s = sum(repeat.more_prefill_s) + sum(repeat.more_decode_s)
    return repeat.ttft_s + repeat.decode_s + further_s


def _starts_s() -> dict[str, float]:
    """What each step adds to starting a worker, medians in seconds."""
    added, before_s = {}, 0.0
    for name, code in _STARTS.items():
        total_s = statistics.median(_run_s(code) for _ in range(_STARTS_MEASURED))
        added[name], before_s = total_s - before_s, total_s
    return added


def _run_s(code: str) -> float:
    start = monotonic_ns()
    # A worker ends in this way too.
    code += "; import os; os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own code
    return seconds_since(start)
