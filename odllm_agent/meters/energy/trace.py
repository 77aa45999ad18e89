"""How the power of a domain goes on in the course of a window."""

import itertools
from collections.abc import Mapping, Sequence

from odllm_agent.clock import seconds_between
from odllm_agent.contract import Phase, PowerSample
from odllm_agent.meters.base import Meter, MeterReading, window


def power(
    phase: Phase, meter: Meter, readings: Sequence[Mapping[str, MeterReading]], start_ns: int
) -> tuple[PowerSample, ...]:
    """The mean power between readings of a meter, in every domain.

    Args:
        phase: What the window was of.
        meter: The meter that gave the readings.
        readings: In order; those too close together for the sensor are passed over.
        start_ns: What times are counted from, by `odllm_agent.clock.monotonic_ns`.
    """
    return tuple(
        PowerSample(
            phase=phase,
            domain=domain,
            meter=meter.name,
            start_s=seconds_between(start_ns, before.at_ns),
            end_s=seconds_between(start_ns, after.at_ns),
            power_w=joules / seconds_between(before.at_ns, after.at_ns),
        )
        for domain in readings[0]
        for before, after in itertools.pairwise(
            apart([each[domain] for each in readings], meter.limits.shortest_s)
        )
        if (joules := window(before, after, meter.limits)[0]) is not None
    )


def apart(readings: Sequence[MeterReading], least_s: float) -> list[MeterReading]:
    """The readings that have a figure and are far enough from each other, the last among them.

    Args:
        readings: In order.
        least_s: The least time between two that are kept.
    """
    told = [each for each in readings if each.energy_j is not None]
    kept: list[MeterReading] = []
    for each in told:
        if not kept or seconds_between(kept[-1].at_ns, each.at_ns) >= least_s:
            kept.append(each)
    if len(kept) > 1 and kept[-1] is not told[-1]:
        kept[-1] = told[-1]
    return kept
