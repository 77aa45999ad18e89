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
import sys
from collections.abc import Mapping, Sequence

from odllm_agent.contract import Energy, MeterReport, Method, Phase, PowerSample
from odllm_agent.errors import UsageError
from odllm_agent.meters import base
from odllm_agent.meters.base import Meter, MeterReading
from odllm_agent.meters.energy import trace
from odllm_agent.meters.request import Request

__all__ = [
    "AUTO",
    "Meter",
    "MeterReading",
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

Readings = tuple[Mapping[str, MeterReading], ...]
"""One reading of every meter, in their order."""

# Each edge of a window may be off by one of the counter's periods, so that at twenty of them both
# together are a tenth of the figure.
_PERIODS = 20
# No phase is gone through for longer than this only to please a slow sensor.
_LONGEST_S = 1.0

# Loaded by name, so that a meter's packages cost nothing where nobody asks for it.
_MODULES: Mapping[str, str] = {
    "rapl": "odllm_agent.meters.rapl.meter",
    "nvml": "odllm_agent.meters.nvml",
    "hwmon": "odllm_agent.meters.hwmon",
    "battery": "odllm_agent.meters.battery.meter",
    "emi": "odllm_agent.meters.emi",
    "apple": "odllm_agent.meters.apple",
    "external": "odllm_agent.meters.external",
    "estimate": "odllm_agent.meters.estimate",
}

_SETTINGS: Mapping[str, Sequence[str]] = {
    "external": ("path",),
    "estimate": ("tdp_w", "idle_w", "full_w"),
}

# What `auto` stands for on each system; the first is the processor's own.
_MEASURING: Mapping[str, Sequence[str]] = {
    "linux": ("rapl", "nvml", "hwmon", "battery"),
    "win32": ("emi", "nvml"),
    "darwin": ("apple",),
}


def open_meters(names: Sequence[str]) -> tuple[Meter, ...]:
    """The meters of these names, each once.

    Args:
        names: Names of meters, with their settings: NAME, or NAME:KEY=VALUE,KEY=VALUE. `auto`
            stands for every meter that measures here, and for the processor's own in any case,
            so that there is a reason where there is no figure.

    Raises:
        UsageError: There is no meter of that name, or no such setting of it.
    """
    wanted = {name for name in (*names, _measuring()[0]) if name != AUTO}
    opened = [_open(name) for name in _expanded(names)]
    return tuple(meter for meter in opened if meter.name in wanted or meter.report().domains)


def reports(names: Sequence[str] = (AUTO,)) -> tuple[MeterReport, ...]:
    """What each of these meters can read on this device, or why it cannot.

    Args:
        names: As for `open_meters`; `auto` stands for every meter that its system can have.

    Raises:
        UsageError: There is no meter of that name, or no such setting of it.
    """
    return tuple(_open(name).report() for name in _expanded(names))


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


def _measuring() -> Sequence[str]:
    return _MEASURING.get(sys.platform, _MEASURING["linux"])


def _expanded(names: Sequence[str]) -> tuple[str, ...]:
    every = [known for name in names for known in (_measuring() if name == AUTO else (name,))]
    return tuple(dict.fromkeys(every))


def _open(text: str) -> Meter:
    request = Request.parse(text)
    if request.name not in _MODULES:
        raise UsageError(
            f"there is no power meter {request.name!r}",
            f"choose from {', '.join((AUTO, *_MODULES))}",
        )
    request.check(_SETTINGS.get(request.name, ()))
    module = importlib.import_module(_MODULES[request.name])
    meter: Meter = module.open_meter(request)
    return meter
