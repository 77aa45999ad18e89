"""The power meters, opened by name and read at both edges of a window.

    meters = open_meters(("auto",))
    before = read(meters)
    ...                                 # the window
    after = read(meters)
    figures = energies(Phase.DECODE, meters, before, after)

A meter that this device does not have gives its reason in place of a figure.
"""

import importlib
from collections.abc import Mapping, Sequence

from odllm_agent.contract import Energy, MeterReport, Phase
from odllm_agent.errors import UsageError
from odllm_agent.meters import base
from odllm_agent.meters.base import Meter, Reading

__all__ = ["AUTO", "Meter", "Reading", "energies", "open_meters", "read", "reports"]

AUTO = "auto"

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


def read(meters: Sequence[Meter]) -> tuple[Mapping[str, Reading], ...]:
    """One reading of every meter, in their order."""
    return tuple(meter.read() for meter in meters)


def energies(
    phase: Phase,
    meters: Sequence[Meter],
    before: Sequence[Mapping[str, Reading]],
    after: Sequence[Mapping[str, Reading]],
) -> tuple[Energy, ...]:
    """The energy of one window per meter and domain, in joules or with the reason for none.

    Args:
        phase: What the window timed.
        meters: The meters that were read.
        before: What `read` gave just before the window.
        after: What `read` gave just after it.
    """
    return tuple(
        energy
        for meter, start, end in zip(meters, before, after, strict=True)
        for energy in base.energies(phase, meter, start, end)
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
