"""A meter made of sensors, one for each of its domains."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import MeterReport, Method, MissingDomain
from odllm_agent.meters.base import Meter, MeterReading, Unavailable, WindowLimits
from odllm_agent.meters.energy.counter import Counter

COUNTED = "energy counter"
INTEGRATED = "integrated power"

COST_READINGS = 5

Key = TypeVar("Key")


class Sensor(Protocol):
    """A source of one domain's energy."""

    def read(self) -> MeterReading:
        """The joules so far; never raises for a sensor that fails."""


class Sum:
    """Sensors of one domain that count together, such as those of two sockets.

    Args:
        parts: The sensors; at least one.
    """

    def __init__(self, parts: Sequence[Sensor]) -> None:
        self._parts = tuple(parts)

    def read(self) -> MeterReading:
        """The joules of all parts; a part without a figure takes the sum's."""
        return added([part.read() for part in self._parts])


def apart(
    opened: Mapping[Key, Sensor | MissingDomain],
) -> tuple[dict[Key, Sensor], list[MissingDomain]]:
    """What was opened, apart from what is missing."""
    sensors: dict[Key, Sensor] = {}
    missing: list[MissingDomain] = []
    for key, found in opened.items():
        if isinstance(found, MissingDomain):
            missing.append(found)
        else:
            sensors[key] = found
    return sensors, missing


def means_of(sensors: Iterable[Sensor]) -> str:
    """What the figures of some sensors are made of; one integrated one makes the sum integrated."""
    counted = all(isinstance(sensor, Counter) for sensor in sensors)
    return COUNTED if counted else INTEGRATED


def added(readings: Sequence[MeterReading]) -> MeterReading:
    """The sum of readings that were taken one after another."""
    at_ns = max(reading.at_ns for reading in readings)
    latest = max(readings, key=lambda reading: reading.fault_ns)
    energies_j = [reading.energy_j for reading in readings if reading.energy_j is not None]
    reasons = [reading.reason for reading in readings if reading.energy_j is None]
    total_j = None if reasons else sum(energies_j)
    return MeterReading(at_ns, total_j, "; ".join(reasons[:1]), latest.fault_ns, latest.fault)


class SensorMeter:
    """A meter whose every domain has a sensor.

    Args:
        report: What the meter reads.
        limits: The windows that it can tell the energy of.
        sensors: By domain.
    """

    def __init__(
        self, report: MeterReport, limits: WindowLimits, sensors: Mapping[str, Sensor]
    ) -> None:
        self.name = report.name
        self.limits = limits
        self._report = report
        self._sensors = sensors
        self._missing = {lost.domain: MeterReading(0, None, lost.reason) for lost in report.missing}

    def report(self) -> MeterReport:
        """What the meter reads, and what a reading cost."""
        return self._report

    def read(self) -> Mapping[str, MeterReading]:
        """The domains' joules since the meter was opened, and why those missing have none."""
        return {domain: sensor.read() for domain, sensor in self._sensors.items()} | self._missing


def open_sensors(
    name: str,
    means: str,
    limits: WindowLimits,
    sensors: Mapping[str, Sensor],
    *,
    missing: Sequence[MissingDomain] = (),
    method: Method = Method.MEASURED,
) -> Meter:
    """The meter of these sensors, or one that says why there is none.

    Args:
        name: The meter's name.
        means: What its figures are made of.
        limits: The windows that it can tell the energy of.
        sensors: By domain.
        missing: Domains that cannot be read; the first says why there is no meter without sensors.
        method: How its figures are obtained.
    """
    if not sensors:
        return Unavailable(name, missing[0].domain, missing[0].reason, missing[0].remedy)
    report = MeterReport(
        name=name,
        domains=tuple(sensors),
        method=method,
        means=means,
        step_j=limits.step_j,
        period_s=limits.period_s,
        read_s=_cost_s(sensors),
        missing=tuple(missing),
    )
    return SensorMeter(report, limits, sensors)


def _cost_s(sensors: Mapping[str, Sensor]) -> float:
    costs_s = []
    for _ in range(COST_READINGS):
        start_ns = monotonic_ns()
        for sensor in sensors.values():
            sensor.read()
        costs_s.append(seconds_since(start_ns))
    return statistics.median(costs_s)
