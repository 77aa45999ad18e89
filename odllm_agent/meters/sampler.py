"""Reading power meters at the edges of windows and, where one measures, between them."""

import os
import statistics
import threading
from collections.abc import Sequence
from typing import Self

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.meters import Meter, Readings, long_enough_s, measuring, read
from odllm_agent.state import cpus

PERIOD_S = 0.05
"""The time between two readings, unless they cost too much."""

# Of one hardware thread: with what waking costs besides, well under the half percent that metering
# may take of an engine that has no thread to spare.
MOST_SHARE = 0.002
_TRIED = 5


def spare_cpu(threads: int) -> int | None:
    """A hardware thread that an engine does not need, or `None` where it needs them all.

    Args:
        threads: The engine's threads; 0 where it takes what there is.
    """
    usable = cpus()
    return usable[-1] if 0 < threads < len(usable) else None


def period_s(cost_s: float) -> float:
    """How long to wait between two readings that cost so much each."""
    return max(PERIOD_S, cost_s / MOST_SHARE)


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
        self._thread = threading.Thread(target=self._sample, name="odllm-sampler", daemon=True)

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
        wait_s = period_s(statistics.median(self._read_s() for _ in range(_TRIED)))
        while not self._ended.wait(wait_s):
            self._read_s()

    def _read_s(self) -> float:
        """Reads once, and tells how long that took."""
        with self._reading:
            start = monotonic_ns()
            self._log.append(read(self.meters))
            return seconds_since(start)
