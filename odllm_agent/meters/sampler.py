"""Reading power meters at the edges of windows and, where one measures, between them."""

import os
import statistics
import threading
from collections import deque
from collections.abc import Sequence
from typing import Self

from odllm_agent.clock import seconds_between, thread_cpu_ns
from odllm_agent.host.state import cpus
from odllm_agent.meters import Meter, Readings, long_enough_s, measuring, read

SAMPLER = "odllm-sampler"
"""The name of the thread that reads."""

PERIOD_S = 0.05
"""The time between two readings, unless they cost too much."""

# Of one hardware thread: with what an engine loses besides when it is interrupted, well under the
# half percent that metering may take of one that has no thread to spare.
MOST_SHARE = 0.002
_REMEMBERED = 5
# The thread may be kept waiting under load.
_PER_TURN = 4


def spare_cpu(threads: int) -> int | None:
    """A hardware thread that an engine does not need, or `None` where it needs them all.

    Args:
        threads: The engine's threads; 0 where it takes what there is.
    """
    usable = cpus()
    return usable[-1] if 0 < threads < len(usable) else None


def period_s(cost_s: float, longest_s: float) -> float:
    """How long to wait between two readings.

    Args:
        cost_s: The CPU seconds that one costs.
        longest_s: After this a counter may have wrapped unseen, which no cost is worth.
    """
    return min(max(PERIOD_S, cost_s / MOST_SHARE), longest_s / _PER_TURN)


class Sampler:
    """Power meters that are read in a thread of their own, if one of them measures.

    The thread keeps counters from wrapping unseen, and sees how power goes on in a window. It lives
    as long as the context that it is entered as.

    Args:
        meters: The meters.
        cpu: The hardware thread that it stays on, if the engine leaves one free.

    Attributes:
        meters: The meters.
        long_enough_s: How long a window should be for those that measure; 0 where none does.
    """

    def __init__(self, meters: Sequence[Meter], cpu: int | None = None) -> None:
        self.meters = tuple(meters)
        self.long_enough_s = long_enough_s(self.meters)
        self._cpu = cpu
        self._log: list[Readings] = []
        # Meters remember their last reading, and a window's edge may come during one.
        self._reading = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name=SAMPLER, daemon=True)

    def __enter__(self) -> Self:
        self.begin()
        if measuring(self.meters):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def begin(self) -> None:
        """Reads the start of a window, and forgets what was read before."""
        with self._reading:
            self._log = [read(self.meters)]

    def cut(self) -> tuple[Readings, ...]:
        """Reads the end of a window, which is the start of the next.

        Returns:
            What was read from the window's start to its end.
        """
        with self._reading:
            window = (*self._log, read(self.meters))
            self._log = [window[-1]]
        return window

    def _sample(self) -> None:
        if self._cpu is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {self._cpu})  # of this thread alone
        # Beside an engine that fills the caches a reading costs ten times what it does alone, so
        # its cost is taken as it goes on, waking and waiting included.
        costs_s: deque[float] = deque(maxlen=_REMEMBERED)
        longest_s = min(meter.limits.longest_s for meter in measuring(self.meters))
        wait_s, before = period_s(0.0, longest_s), thread_cpu_ns()
        while not self._ended.wait(wait_s):
            with self._reading:
                self._log.append(read(self.meters))
            after = thread_cpu_ns()
            costs_s.append(seconds_between(before, after))
            wait_s, before = period_s(statistics.median(costs_s), longest_s), after
