"""Limits that people set: a bound on a metric, written with its unit."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from odllm_agent.errors import UsageError
from odllm_controller.metrics import Better, Metric

_AMOUNT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")
_DIGITS = 3

_BYTES = {"b": 1.0} | {
    f"{prefix}{unit}": float(base ** (power + 1))
    for unit, base in (("b", 1000), ("ib", 1024))
    for power, prefix in enumerate("kmgt")
}
# By the unit that a metric is shown in: which units may be written, and how large each is in the
# unit of the column.
_UNITS: Mapping[str, Mapping[str, float]] = {
    "MB": _BYTES,
    "ms": {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0},
    "W": {"mW": 1e-3, "W": 1.0, "kW": 1e3},
    "J": {"mJ": 1e-3, "J": 1.0, "kJ": 1e3, "Wh": 3600.0},
    "mJ": {"mJ": 1e-3, "J": 1.0, "kJ": 1e3, "Wh": 3600.0},
    "%": {"%": 1e-2},
    "mnat": {"mnat": 1e-3, "nat": 1.0},
    "tok/s": {"tok/s": 1.0},
    "": {},
}
_EXAMPLES: Mapping[str, str] = {
    "MB": "8GB, 7.5GiB or 500MB",
    "ms": "2s or 300ms",
    "W": "15W",
    "J": "20J",
    "mJ": "500mJ",
    "%": "60%",
    "mnat": "5mnat",
    "tok/s": "10 or 10tok/s",
    "": "12.5",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a metric: at least so much of what is better when higher, else at most.

    Attributes:
        metric: What is bounded.
        bound: The bound, in the unit of the metric's column.
    """

    metric: Metric
    bound: float

    def __str__(self) -> str:
        least = self.metric.better is Better.HIGHER
        told = f"at {'least' if least else 'most'} {self.metric.shown(self.bound)}"
        return f"{self.metric.label} {told}"

    def relaxed_to(self, value: float) -> float:
        """A bound of three digits that just lets a value pass.

        Args:
            value: In the unit of the metric's column.
        """
        shown = value / self.metric.per_unit
        if not shown or not math.isfinite(shown):
            return value
        away = ROUND_FLOOR if self.metric.better is Better.HIGHER else ROUND_CEILING
        digit = Decimal(1).scaleb(math.floor(math.log10(abs(shown))) - _DIGITS + 1)
        rounded = (Decimal(repr(shown)) / digit).to_integral_value(away) * digit
        return float(rounded) * self.metric.per_unit


def parse(text: str, metric: Metric) -> Limit:
    """A limit as it is written, such as `8GB`.

    A number alone is taken where the metric has no unit but its own: tokens per second, watts.

    Args:
        text: A number and a unit.
        metric: What it bounds.

    Raises:
        UsageError: It is none, or its unit is none of that metric.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise _wrong(text, metric, "it is no number with a unit")
    amount, unit = float(found[1]), found[2]
    if not math.isfinite(amount):
        raise _wrong(text, metric, "it is too large")
    return Limit(metric, amount * _size(unit, text, metric))


def _size(unit: str, text: str, metric: Metric) -> float:
    """How large a written unit is in the unit of the metric's column."""
    if not unit:
        if metric.per_unit != 1:
            raise _wrong(text, metric, "it has no unit")
        return 1.0
    known = _UNITS[metric.unit]
    # Of sizes people write gb as well as GB; elsewhere case tells units apart.
    size = known.get(unit.lower() if known is _BYTES else unit)
    if size is None:
        raise _wrong(text, metric, f"{unit!r} is no unit of it")
    return size


def _wrong(text: str, metric: Metric, why: str) -> UsageError:
    return UsageError(
        f"{text!r} is no limit of {metric.label.lower()}: {why}",
        f"write it as {_EXAMPLES[metric.unit]}",
    )
