"""How a claim stands, by some data."""

from collections.abc import Iterable
from enum import StrEnum

# What most units must say.
_MOST = 0.75


class Standing(StrEnum):
    """What data say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


DECIDED = (Standing.SUPPORTED, Standing.CONTRADICTED)


def agreed(standings: Iterable[tuple[str, Standing]], least: int = 2) -> Standing:
    """What several models, pairs of models or devices say together.

    Of one of them no claim is decided. Each answer is wrong in one case of twenty at most, so two
    that say the same and none that says the opposite are wrong together in far fewer; that at least
    three of four must be decided keeps a few out of many from deciding by chance.

    Args:
        standings: What each says, by its name; of one name a single answer counts: what all of its
            decided answers say, or that it is undecided where they differ.
        least: How many must say the same.
    """
    of_units: dict[str, set[Standing]] = {}
    for unit, standing in standings:
        of_units.setdefault(unit, set()).add(standing)
    answers = [_single(each) for each in of_units.values()]
    for standing, opposite in zip(DECIDED, reversed(DECIDED), strict=True):
        count = answers.count(standing)
        if count >= max(least, _MOST * len(answers)) and opposite not in answers:
            return standing
    return Standing.UNDECIDED


def _single(said: set[Standing]) -> Standing:
    decided = said & set(DECIDED)
    return decided.pop() if len(decided) == 1 else Standing.UNDECIDED
