"""A hardware counter of energy that wraps, stops, jumps, and fails."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from odllm_agent.clock import monotonic_ns, seconds_between
from odllm_agent.meters.base import MeterReading
from odllm_agent.meters.energy.tally import Tally

# The reader may be held up for as long between looking at the clock and at the counter.
HELD_UP_S = 0.05


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a counter can be believed to do.

    Attributes:
        most_w: Above this mean power it was reset or jumped; nothing draws as much.
        period_s: The time between two of its updates.
        range_j: The value after which it starts over, or `None` if it does not.
        stalled_s: Standing still for longer it is stuck, or `None` where nothing may be drawn.
    """

    most_w: float
    period_s: float
    range_j: float | None = None
    stalled_s: float | None = None

    @property
    def longest_s(self) -> float:
        """Between readings further apart it may have started over more than once."""
        return float("inf") if self.range_j is None else self.range_j / self.most_w

    def most_j(self, seconds: float) -> float:
        """What it may move by between two readings; each may be late by an update."""
        return self.most_w * (seconds + 2 * self.period_s + HELD_UP_S)


class Counter:
    """The joules that a counter moved since it was opened.

    Args:
        value_j: Reads the counter, in joules.
        bounds: What it can be believed to do.

    Raises:
        Exception: Whatever the first reading raises.
    """

    def __init__(self, value_j: Callable[[], float], bounds: Bounds) -> None:
        self._value_j = value_j
        self._bounds = bounds
        self._lock = threading.Lock()
        self._tally = Tally()
        self._stalled = False
        self._last_j = value_j()
        self._last_ns = self._moved_ns = monotonic_ns()

    def read(self) -> MeterReading:
        """The joules so far; a counter that fails or cannot be believed gives its reason."""
        with self._lock:
            at_ns = monotonic_ns()
            try:
                value_j = self._value_j()
            except Exception as error:  # noqa: BLE001 - the failure becomes data
                return self._tally.failure(at_ns, f"the counter could not be read: {error}")
            return self._advanced(value_j, at_ns)

    def _advanced(self, value_j: float, at_ns: int) -> MeterReading:
        step_j = advanced_j(self._last_j, value_j, self._bounds.range_j)
        fault = self._doubt(step_j, at_ns) or self._standstill(step_j, at_ns)
        self._last_j, self._last_ns = value_j, at_ns
        if fault:
            self._tally.lose(at_ns, fault)
        else:
            self._tally.add(step_j)
        return self._tally.reading(at_ns)

    def _doubt(self, step_j: float, at_ns: int) -> str:
        seconds = seconds_between(self._last_ns, at_ns)
        if step_j < 0:
            return f"the counter went back by {-step_j:.3g} J"
        if seconds > self._bounds.longest_s:
            return (
                f"the counter was not read for {seconds:.0f} s "
                f"and may wrap every {self._bounds.longest_s:.0f} s"
            )
        if step_j > self._bounds.most_j(seconds):
            return f"the counter jumped: {step_j:.3g} J in {seconds:.3g} s"
        return ""

    def _standstill(self, step_j: float, at_ns: int) -> str:
        """Why a counter is stuck, or was until this reading."""
        still_s = seconds_between(self._moved_ns, at_ns)
        was_stalled = self._stalled
        if step_j > 0:
            self._moved_ns = at_ns
        limit_s = self._bounds.stalled_s
        self._stalled = step_j == 0 and limit_s is not None and still_s > limit_s
        return (
            f"the counter stood still for {still_s:.3g} s" if was_stalled or self._stalled else ""
        )


def advanced_j(before_j: float, after_j: float, range_j: float | None) -> float:
    """How far a counter moved that starts over at its range, in joules.

    It must have been read at least once per turn; a reset looks like a turn, and is told from
    one by the power that it would mean. Without a range, moving back is below 0.
    """
    moved_j = after_j - before_j
    return moved_j + range_j if moved_j < 0 and range_j is not None else moved_j
