"""A power meter for the tests: a counter that a formula drives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from odllm_agent.clock import monotonic_ns
from odllm_agent.contract import MeterReport, Method
from odllm_agent.meters.base import MeterReading, WindowLimits

LIMITS = WindowLimits(shortest_s=0.01, longest_s=100.0, most_w=500.0, step_j=1e-6, period_s=1e-6)


@dataclass(slots=True)
class Steady:
    """A domain that draws a known power, on a counter that starts over at its range.

    As a real meter's, its figures go on through a wrap that it sees, and miss one that it does not.

    Attributes:
        watts: The power.
        range_j: Where the counter starts over.
        limits: The meter's.
        method: How its figures are obtained.
        clock: What tells the time.
    """

    watts: float = 20.0
    range_j: float = 1e6
    limits: WindowLimits = LIMITS
    method: Method = Method.MEASURED
    clock: Callable[[], int] = monotonic_ns
    name: str = "steady"
    n_read: int = 0
    _total_j: float = 0.0
    _last_j: float = 0.0
    _start_ns: int = field(default_factory=monotonic_ns)

    def report(self) -> MeterReport:
        return MeterReport(self.name, ("package",), self.method)

    def read(self) -> Mapping[str, MeterReading]:
        self.n_read += 1
        at_ns = self.clock()
        shown_j = self.watts * (at_ns - self._start_ns) / 1e9 % self.range_j
        self._total_j += (shown_j - self._last_j) % self.range_j
        self._last_j = shown_j
        return {"package": MeterReading(at_ns, self._total_j)}
