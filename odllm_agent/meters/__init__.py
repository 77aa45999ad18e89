"""The power meters, opened by name and read at both edges of a window, and between them.

    meters = open_meters(("auto",))
    before = read(meters)
    ...                                 # the window
    after = read(meters)
    figures = energies(Phase.DECODE, meters, before, after)

A meter that this device does not have gives its reason in place of a figure. `Sampler` reads them
during a window too.
"""

import importlib
from collections.abc import Mapping, Sequence

from odllm_agent.contract import Energy, MeterReport, Method, Phase, PowerSample
from odllm_agent.errors import UsageError
from odllm_agent.meters import base, trace
from odllm_agent.meters.base import Meter, Reading

__all__ = [
    "AUTO",
    "Meter",
    "Reading",
    "Readings",
    "energies",
    "long_enough_s",
    "measuring",
    "open_meters",
    "power",
    "read",
    "reports",
]

AUTO = "auto"

Readings = tuple[Mapping[str, Reading], ...]
"""One reading of every meter, in their order."""

# Each edge of a window may be off by one of the counter's periods, so that at twenty of them both
# together are a tenth of the figure.
_PERIODS = 20
# No phase is gone through for longer than this only to please a slow sensor.
_LONGEST_S = 1.0

# Loaded by name, so that a meter's packages cost nothing where nobody asks for it.
_CLASSES = {
    "rapl": "odllm_agent.meters.rapl:Rapl",
}


def open_meters(names: Sequence[str]) -> tuple[Meter, ...]:
    """The meters of these names, each once.

    Args:
        names: Names of meters; `auto` stands for all of them.

    Raises:
        UsageError: There is no meter of that name.
    """
    return tuple(_open(name) for name in _expanded(names))


def reports(names: Sequence[str] = (AUTO,)) -> tuple[MeterReport, ...]:
    """What each of these meters can read on this device, or why it cannot.

    Raises:
        UsageError: There is no meter of that name.
    """
    return tuple(meter.report() for meter in open_meters(names))


def measuring(meters: Sequence[Meter]) -> tuple[Meter, ...]:
    """The meters that measure something on this device."""
    return tuple(meter for meter in meters if meter.report().method is Method.MEASURED)


def long_enough_s(meters: Sequence[Meter]) -> float:
    """How long a window has to be for every meter that measures, or 0 where none does.

    A meter that needs longer than a second does not count.
    """
    limits = [meter.limits for meter in measuring(meters)]
    return max(
        (
            max(each.shortest_s, min(_PERIODS * each.period_s, _LONGEST_S))
            for each in limits
            if each.shortest_s <= _LONGEST_S
        ),
        default=0.0,
    )


def read(meters: Sequence[Meter]) -> Readings:
    """One reading of every meter, in their order."""
    return tuple(meter.read() for meter in meters)


def energies(
    phase: Phase, meters: Sequence[Meter], *readings: Readings, passes: int = 1
) -> tuple[Energy, ...]:
    """The energy of one window per meter and domain, in joules or with the reason for none.

    Args:
        phase: What the window was of.
        meters: The meters that were read.
        readings: What `read` gave just before the window, in it, and just after it.
        passes: How often the phase was gone through in the window.
    """
    return tuple(
        energy
        for meter, own in zip(meters, zip(*readings, strict=True), strict=True)
        for energy in base.energies(phase, meter, *own, passes=passes)
    )


def power(
    phase: Phase, meters: Sequence[Meter], readings: Sequence[Readings], start_ns: int
) -> tuple[PowerSample, ...]:
    """The power in the course of one window, for every meter that measures.

    Args:
        phase: What the window was of.
        meters: The meters that were read.
        readings: What `read` gave just before the window, in it, and just after it.
        start_ns: What times are counted from, by `odllm_agent.clock.monotonic_ns`.
    """
    return tuple(
        sample
        for meter, own in zip(meters, zip(*readings, strict=True), strict=True)
        if measuring((meter,))
        for sample in trace.power(phase, meter, own, start_ns)
    )


def _expanded(names: Sequence[str]) -> tuple[str, ...]:
    every = [known for name in names for known in (_CLASSES if name == AUTO else (name,))]
    return tuple(dict.fromkeys(every))


def _open(name: str) -> Meter:
    if name not in _CLASSES:
        raise UsageError(
            f"there is no power meter {name!r}", f"choose from {', '.join((AUTO, *_CLASSES))}"
        )
    module, _, class_name = _CLASSES[name].partition(":")
    meter: Meter = getattr(importlib.import_module(module), class_name).open()
    return meter
