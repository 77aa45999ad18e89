"""What a metric is."""

from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from odllm_controller.metrics.digits import figure


class Better(StrEnum):
    """Which direction of a metric is better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"


class Group(StrEnum):
    """What a metric is about."""

    SPEED = "Speed"
    LATENCY = "Latency"
    MEMORY = "Memory"
    QUALITY = "Quality"
    ENERGY = "Energy"


class Basis(StrEnum):
    """What one value of a metric is worked out from."""

    REPEATS = "repeats"
    ROUNDS = "rounds"
    CHECK = "check"


class Ends(StrEnum):
    """How the ends of a metric's 95 % interval are made, and so where its column comes from."""

    BOOTSTRAP = "bootstrap"
    """Of a column of `rates`; the summary of a trial has its median and its ends."""
    OF_TIMES = "of the times"
    """Of what a time is divided by or into; `results` has all three columns."""
    STANDARD_ERROR = "standard error"
    """Of a score; `results` has the column and that of its standard error."""
    NONE = "no interval"
    """Of a median over rounds; `results` has the column."""


class Values(StrEnum):
    """Which values a metric can have; others are refused where figures are imported."""

    POSITIVE = "above 0"
    NOT_NEGATIVE = "0 or more"
    FRACTION = "0 to 1"
    ANY = "any"


_BASES = {
    Ends.BOOTSTRAP: Basis.REPEATS,
    Ends.OF_TIMES: Basis.REPEATS,
    Ends.STANDARD_ERROR: Basis.CHECK,
    Ends.NONE: Basis.ROUNDS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A column of `results` that can be drawn, compared and optimised.

    Attributes:
        name: The column's name, which ends in its own unit.
        label: What people call it.
        unit: The unit it is shown in; empty where it has none.
        per_unit: How much of the column's own unit one shown unit is.
        better: Which direction is better.
        group: What it is about.
        ends: How the ends of its interval are made.
        values: Which values it can have.
        meaning: What it is, for the documentation.
        missing: Why there is no value, where no row tells.
        reason: The column that tells why there is no value, or `None`.
        alias: Another name that an objective or a limit may have, or `None`.
        heading: What stands above it in the table at the end of a run, without its unit.
        decimals: The digits behind the point there.
        in_report: Whether a report has a chart of it.
        offered: Whether it can be chosen; others are columns that such metrics are made of.
    """

    name: str
    label: str
    better: Better
    group: Group
    unit: str = ""
    per_unit: float = 1.0
    ends: Ends = Ends.BOOTSTRAP
    values: Values = Values.NOT_NEGATIVE
    meaning: str = ""
    missing: str = "not measured yet"
    reason: str | None = None
    alias: str | None = None
    heading: str = ""
    decimals: int = 0
    in_report: bool = False
    offered: bool = True

    @property
    def basis(self) -> Basis:
        """What one value is worked out from."""
        return _BASES[self.ends]

    @property
    def low(self) -> str:
        """The column of the lower end of the 95 % interval."""
        return f"{self.name}_low"

    @property
    def high(self) -> str:
        """The column of the upper end of the 95 % interval."""
        return f"{self.name}_high"

    @property
    def standard_error(self) -> str:
        """The column of a score's standard error."""
        return f"{self.name}_se"

    @property
    def uncertainty(self) -> str:
        """The column that says how far off its sensor may be; few metrics have one."""
        return f"{self.name}_uncertainty"

    @property
    def stored(self) -> tuple[str, ...]:
        """Its columns in the view `results`."""
        if self.ends is Ends.NONE:
            return (self.name,)
        if self.ends is Ends.STANDARD_ERROR:
            return self.name, self.standard_error
        return self.name, self.low, self.high

    @property
    def title(self) -> str:
        """The label with its unit, for an axis or a heading."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def shown(self, value: float) -> str:
        """A value in the unit that it is shown in, with three digits that count.

        Args:
            value: In the column's own unit.
        """
        return f"{figure(value / self.per_unit)} {self.unit}".rstrip()

    def why_missing(self, results: pd.DataFrame) -> str:
        """Why rows of `results` have no value of this metric.

        Args:
            results: The rows.

        Returns:
            The reasons that they give, the first two of many, or what is generally so.
        """
        without = results[results[self.name].isna()]
        told = without[self.reason].dropna() if self.reason else pd.Series(dtype=str)
        reasons = sorted(set(told) - {""})
        more = [f"and {len(reasons) - 2} more like these"] if len(reasons) > 2 else []
        return "; ".join(reasons[:2] + more) or self.missing
