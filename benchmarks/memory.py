"""A worker's own account of its memory beside what the kernel shows of it from outside."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from odllm_agent import worker
from odllm_agent.contract import HeldMemory, Measurement, RepeatPolicy, RoundResult, Trial
from odllm_agent.errors import EngineError

REPEATS = 20
MOST_APART = 0.02
"""The largest difference that is wanted, as a share of what is seen from outside."""

PARTS = ("rss_bytes", "mapped_bytes", "anonymous_bytes")
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """One worker's memory, told by both.

    Attributes:
        model: The model's name.
        inside: What the worker told at the end of its last repeat.
        outside: What was last seen of its process through /proc/PID/smaps.
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
    seen = None
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.run_round, order)
        while not running.done():
            seen = _seen(folder) or seen
            time.sleep(_LOOK_EVERY_S)
    result: RoundResult = running.result()
    if result.failure or not result.finished or not seen:
        failure = result.failure
        raise EngineError(*((failure.message, failure.remedy) if failure else ("no worker seen",)))
    return MemoryReport(trial.model.name, result.finished.held, seen)


def _seen(folder: Path) -> HeldMemory | None:
    """The memory of the worker that runs now, or `None` where there is none to be seen."""
    try:
        workers = [
            child
            for child in psutil.Process().children()
            if "odllm_agent.worker" in child.cmdline()
        ]
        maps = workers[0].memory_maps(grouped=False)
    except (IndexError, psutil.Error):
        return None
    return HeldMemory(
        rss_bytes=sum(each.rss for each in maps),
        mapped_bytes=sum(
            each.rss - each.anonymous for each in maps if Path(each.path).parent == folder
        ),
        anonymous_bytes=sum(each.anonymous for each in maps),
    )
