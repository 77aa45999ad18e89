"""What a power meter is, and how two of its readings become the energy of a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from odllm_agent.clock import seconds_between
from odllm_agent.contract import Energy, MeterReport, Method, Phase


@dataclass(frozen=True, slots=True)
class Reading:
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
class Limits:
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


class Meter(Protocol):
    """A source of energy readings."""

    @property
    def name(self) -> str:
        """The name by which an experiment asks for the meter."""

    @property
    def limits(self) -> Limits:
        """The windows that it can tell the energy of."""

    def report(self) -> MeterReport:
        """What the meter can read on this device, or why it cannot."""

    def read(self) -> Mapping[str, Reading]:
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
        self.limits = Limits(0.0, 0.0, 0.0)
        self._report = MeterReport(name, (), Method.UNAVAILABLE, reason, remedy)
        self._readings = {domain: Reading(0, None, reason)}

    def report(self) -> MeterReport:
        """Why the meter reads nothing, and the remedy."""
        return self._report

    def read(self) -> Mapping[str, Reading]:
        """No figure, at no cost."""
        return self._readings


def energies(
    phase: Phase, meter: Meter, before: Mapping[str, Reading], after: Mapping[str, Reading]
) -> tuple[Energy, ...]:
    """The energy of one window in every domain of one meter.

    Args:
        phase: What the window timed.
        meter: The meter that gave both readings.
        before: Its reading at the window's start.
        after: Its reading at the window's end.
    """
    return tuple(
        _energy(phase, domain, meter, window(start, after[domain], meter.limits))
        for domain, start in before.items()
    )


def window(before: Reading, after: Reading, limits: Limits) -> tuple[float | None, str]:
    """The joules between two readings, or `None` with the reason why they cannot be told.

    Args:
        before: The reading at the window's start.
        after: The reading at the window's end.
        limits: The meter's.
    """
    if before.energy_j is None or after.energy_j is None:
        return None, before.reason or after.reason
    if after.fault_ns > before.at_ns:
        return None, after.fault
    seconds = seconds_between(before.at_ns, after.at_ns)
    joules = after.energy_j - before.energy_j
    fault = _fault(seconds, joules, limits)
    return (None, fault) if fault else (joules, "")


def _fault(seconds: float, joules: float, limits: Limits) -> str:
    if seconds < limits.shortest_s:
        return (
            f"a window of {seconds * 1e3:.3g} ms is too short for the sensor, "
            f"which needs {limits.shortest_s * 1e3:.3g} ms"
        )
    if joules == 0:
        return f"the counter did not move in {seconds * 1e3:.3g} ms"
    if seconds > limits.longest_s:
        return (
            f"a window of {seconds:.0f} s is too long for the sensor, whose counter "
            f"may wrap every {limits.longest_s:.0f} s"
        )
    if not 0 < joules <= limits.most_w * seconds:
        return f"the counter jumped: {joules:.3g} J in {seconds:.3g} s"
    return ""


def _energy(phase: Phase, domain: str, meter: Meter, told: tuple[float | None, str]) -> Energy:
    joules, reason = told
    method = Method.UNAVAILABLE if joules is None else meter.report().method
    return Energy(phase, domain, meter.name, method, joules, reason)
