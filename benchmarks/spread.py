"""The median of values that were measured in turn, and how far they lie apart."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median between its quartiles.

    Attributes:
        median: The middle of the values.
        lower: The first quartile.
        upper: The third quartile.
        n: The number of values.
    """

    median: float
    lower: float
    upper: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        median = statistics.median(values)
        if len(values) == 1:
            return cls(median, median, median, 1)
        lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, lower, upper, len(values))
