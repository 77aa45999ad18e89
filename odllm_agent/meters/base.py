"""What a power meter is, and how two of its readings become the energy of a window."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from odllm_agent.clock import seconds_between
from odllm_agent.contract import Energy, MeterReport, Method, MissingDomain, Phase

_SHORTEST_PERIODS = 10


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One domain's energy counter at one moment.

    Attributes:
        at_ns: When it was read, by `odllm_agent.clock.monotonic_ns`.
        energy_j: Joules since the meter was opened, or `None`.
        reason: Why there is no figure; empty where there is one.
        fault_ns: When the meter last lost count, by the same clock; a window that holds this moment
            has no figure, though both of its edges have one.
        fault: Why it lost count then; empty if it never did.
    """

    at_ns: int
    energy_j: float | None
    reason: str = ""
    fault_ns: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """The windows that a meter can tell the energy of.

    Attributes:
        shortest_s: Below this the sensor's own step and period are too large a part of the figure.
        longest_s: Above this the counter may have wrapped more than once.
        most_w: Above this mean power the counter was reset or jumped; nothing draws as much.
        step_j: The smallest step of the counter.
        period_s: The time between two of its updates.
    """

    shortest_s: float
    longest_s: float
    most_w: float
    step_j: float = 0.0
    period_s: float = 0.0

    @classmethod
    def of_period(
        cls, period_s: float, most_w: float, step_j: float = 0.0, longest_s: float = math.inf
    ) -> "WindowLimits":
        """The windows of a sensor that is renewed every so many seconds.

        Each edge of a window may be off by one period: ten of them keep that error within a tenth
        of the figure.
        """
        return cls(_SHORTEST_PERIODS * period_s, longest_s, most_w, step_j, period_s)


class Meter(Protocol):
    """A source of energy readings."""

    @property
    def name(self) -> str:
        """The name by which an experiment asks for the meter."""

    @property
    def limits(self) -> WindowLimits:
        """The windows that it can tell the energy of."""

    def report(self) -> MeterReport:
        """What the meter can read on this device, or why it cannot."""

    def read(self) -> Mapping[str, MeterReading]:
        """The domains' energy so far; never raises for a sensor that fails."""


class Unavailable:
    """A meter that this device does not have, which still says why.

    Args:
        name: The meter's name.
        domain: The domain that it would read.
        reason: Why it cannot.
        remedy: How to allow it, or what to use instead.
    """

    def __init__(self, name: str, domain: str, reason: str, remedy: str) -> None:
        self.name = name
        self.limits = WindowLimits(0.0, 0.0, 0.0)
        lost = MissingDomain(domain, reason, remedy)
        self._report = MeterReport(name, (), Method.UNAVAILABLE, reason, remedy, missing=(lost,))
        self._readings = {domain: MeterReading(0, None, reason)}

    def report(self) -> MeterReport:
        """Why the meter reads nothing, and the remedy."""
        return self._report

    def read(self) -> Mapping[str, MeterReading]:
        """No figure, at no cost."""
        return self._readings


def energies(
    phase: Phase, meter: Meter, *readings: Mapping[str, MeterReading], passes: int = 1
) -> tuple[Energy, ...]:
    """The energy of one window in every domain of one meter.

    Args:
        phase: What the window was of.
        meter: The meter that gave the readings.
        readings: Of the meter, from the window's start to its end.
        passes: How often the phase was gone through in the window.
    """
    return tuple(
        _energy(phase, domain, meter, tuple(each[domain] for each in readings), passes)
        for domain in readings[0]
    )


def window(
    before: MeterReading,
    after: MeterReading,
    limits: WindowLimits,
    between: Sequence[MeterReading] = (),
) -> tuple[float | None, str]:
    """The joules between two readings, or `None` with the reason why they cannot be told.

    Args:
        before: The reading at the window's start.
        after: The reading at the window's end.
        limits: The meter's.
        between: Readings in the window, in order: with them a window may be as long as it likes.
    """
    if before.energy_j is None or after.energy_j is None:
        return None, before.reason or after.reason
    if after.fault_ns > before.at_ns:
        return None, after.fault
    total = _Step.between(before, after)
    readings = [each for each in (before, *between, after) if each.energy_j is not None]
    steps = tuple(_Step.between(*pair) for pair in itertools.pairwise(readings))
    fault = _fault(total, limits) or _fault_on_the_way(total, steps, limits)
    return (None, fault) if fault else (total.joules, "")


def uncertainty_j(joules: float, seconds: float, limits: WindowLimits) -> float:
    """How far off the energy of a window may be.

    Each of its two edges may be off by what is drawn in one of the counter's periods, and by one
    of its steps.

    Args:
        joules: The window's energy.
        seconds: Its length.
        limits: The meter's.
    """
    return 2 * (joules / seconds * limits.period_s + limits.step_j)


@dataclass(frozen=True, slots=True)
class _Step:
    """What a counter moved by between two readings."""

    seconds: float
    joules: float

    @classmethod
    def between(cls, before: MeterReading, after: MeterReading) -> "_Step":
        moved_j = (after.energy_j or 0.0) - (before.energy_j or 0.0)
        return cls(seconds_between(before.at_ns, after.at_ns), moved_j)


def _fault(total: _Step, limits: WindowLimits) -> str:
    if total.seconds < limits.shortest_s:
        return (
            f"a window of {total.seconds * 1e3:.3g} ms is too short for the sensor, "
            f"which needs {limits.shortest_s * 1e3:.3g} ms"
        )
    if total.joules == 0:
        return f"the counter did not move in {total.seconds * 1e3:.3g} ms"
    return ""


def _fault_on_the_way(total: _Step, steps: Sequence[_Step], limits: WindowLimits) -> str:
    longest_s = max(step.seconds for step in steps)
    if longest_s > limits.longest_s:
        return (
            f"a window of {longest_s:.0f} s is too long for the sensor, whose counter "
            f"may wrap every {limits.longest_s:.0f} s"
        )
    for step in (*steps, total):
        if not 0 <= step.joules <= limits.most_w * (step.seconds + limits.period_s):
            return f"the counter jumped: {step.joules:.3g} J in {step.seconds:.3g} s"
    return ""


def _energy(
    phase: Phase, domain: str, meter: Meter, readings: Sequence[MeterReading], passes: int
) -> Energy:
    before, *between, after = readings
    joules, reason = window(before, after, meter.limits, between)
    if joules is None:
        return Energy(
            phase, domain, meter.name, Method.UNAVAILABLE, None, reason, None, None, passes
        )
    seconds = seconds_between(before.at_ns, after.at_ns)
    return Energy(
        phase=phase,
        domain=domain,
        meter=meter.name,
        method=meter.report().method,
        energy_j=joules,
        window_s=seconds,
        uncertainty_j=uncertainty_j(joules, seconds, meter.limits),
        passes=passes,
    )
