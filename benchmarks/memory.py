"""A worker's own account of its memory beside what the kernel shows of it from outside."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from odllm_agent.contract import HeldMemory, Measurement, RepeatPolicy, RoundResult, Trial
from odllm_agent.errors import EngineError
from odllm_agent.trials import worker

REPEATS = 20
MOST_APART = 0.02
"""The largest difference that is wanted, as a share of what is seen from outside."""

PARTS = ("rss_bytes", "mapped_bytes", "anonymous_bytes")
_LOOK_EVERY_S = 0.02
_STOPS_WITHIN_S = 0.001
_ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """One worker's memory, told by both.

    Attributes:
        model: The model's name.
        inside: What the worker told at the end of its last repeat.
        outside: What was seen most often of its process through /proc/PID/smaps.
    """

    model: str
    inside: HeldMemory
    outside: HeldMemory

    def apart(self, part: str) -> float:
        """The difference of both in one part, as a share of what was seen from outside."""
        inside, outside = getattr(self.inside, part), getattr(self.outside, part)
        return float(abs(inside / outside - 1))

    def unmet(self) -> tuple[str, ...]:
        """Each part that is further apart than wanted, in words."""
        return tuple(
            f"{self.model}: {part} is {100 * self.apart(part):.1f} % from what the kernel shows, "
            f"wanted {100 * MOST_APART:g} %"
            for part in PARTS
            if self.apart(part) > MOST_APART
        )


def measure(trial: Trial) -> MemoryReport:
    """Runs a trial in a worker and watches the worker's memory from outside.

    Args:
        trial: What to run; on Linux, for other systems do not tell.

    Raises:
        EngineError: The worker failed, or it was never seen.
    """
    order = Measurement(trial, 0, RepeatPolicy(1, REPEATS, REPEATS))
    folder = Path(trial.model.path).resolve().parent
    looks: Counter[HeldMemory] = Counter()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.run_round, order)
        while not running.done():
            looks.update(_seen(folder))
            time.sleep(_LOOK_EVERY_S)
    result: RoundResult = running.result()
    if result.failure or not result.finished or not looks:
        failure = result.failure
        raise EngineError(*((failure.message, failure.remedy) if failure else ("no worker seen",)))
    # A worker's memory grows while it loads and while it tells, and stands still in between.
    ((outside, _),) = looks.most_common(1)
    return MemoryReport(trial.model.name, result.finished.held, outside)


def _seen(folder: Path) -> tuple[HeldMemory, ...]:
    """The memory of the worker that runs now; empty where there is none to be seen."""
    try:
        worker = _worker()
        maps = _maps(worker) if worker else None
    except psutil.Error:
        return ()
    return (_held(maps, folder),) if maps else ()


def _worker() -> psutil.Process | None:
    children = psutil.Process().children()
    return next((each for each in children if "odllm_agent.trials.worker" in each.cmdline()), None)


def _maps(worker: psutil.Process) -> list[Any] | None:
    """What the worker has mapped, or `None` if it is about to end.

    It is made to stand still meanwhile: a process that ends loses its maps while they are read.
    """
    worker.suspend()
    try:
        while worker.status() != psutil.STATUS_STOPPED:
            if worker.status() in _ENDED:
                return None
            time.sleep(_STOPS_WITHIN_S)
        return list(worker.memory_maps(grouped=False))
    finally:
        worker.resume()


def _held(maps: Sequence[Any], folder: Path) -> HeldMemory:
    return HeldMemory(
        rss_bytes=sum(each.rss for each in maps),
        mapped_bytes=sum(
            each.rss - each.anonymous for each in maps if Path(each.path).parent == folder
        ),
        anonymous_bytes=sum(each.anonymous for each in maps),
    )
