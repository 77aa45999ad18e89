"""What was measured in turn: which of it counts, and how its ratio is told."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from benchmarks.spread import Spread


class Turn(Protocol):
    """Both sides, measured right after each other."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What disturbed them, such as `busy`."""


T = TypeVar("T", bound=Turn)


def counted(turns: Sequence[T]) -> Sequence[T]:
    """Those that nothing disturbed, or all of them if each was disturbed."""
    return [turn for turn in turns if not turn.flags] or turns


def told(ratio: Spread, turns: Sequence[Turn], digits: int = 3) -> str:
    """A ratio with its quartiles, and what it rests on.

    Args:
        ratio: Of those that count.
        turns: All of them.
        digits: The digits behind the point.
    """
    figures = (f"{each:.{digits}f}" for each in (ratio.median, ratio.lower, ratio.upper))
    median, lower, upper = figures
    disturbed = sum(bool(turn.flags) for turn in turns)
    return f"{median} [{lower}, {upper}], {ratio.n} pairs, {disturbed} disturbed"
