"""The 95 % interval of a median over rounds of repeats, by a bootstrap of both.

Repeats of one round share a process, a temperature and whatever else ran on the device, so they
are not independent, and an interval that takes them for it is too narrow. Here whole rounds are
drawn with replacement, and in each of them repeats (A. C. Davison and D. V. Hinkley, Bootstrap
Methods and their Application, section 3.8).

Of a few rounds the percentiles of what is drawn are still too narrow: they never leave the range
of the rounds, which misses the truth in one case of four where there are three. So the draws give
the standard error, enlarged by the square root of rounds / (rounds - 1), and Student's t of
rounds - 1 degrees of freedom gives its multiple (T. C. Hesterberg, What Teachers Should Know About
the Bootstrap, The American Statistician 69, 2015, sections 4.3 and 5).
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
LEAST_ROUNDS = 2
LEAST_REPEATS = 6

# The standard error is then known to 1 / sqrt(2 x 400), some 4 %.
_DRAWS = 400

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Rounds: TypeAlias = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Interval:
    """A median, or a ratio of two, and where it lies with 95 % confidence.

    Attributes:
        middle: What was found.
        low: The lower end, or `None`.
        high: The upper end, or `None`.
        reason: Why there are no ends, or `""`.
    """

    middle: float
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def width(self) -> float | None:
        """The full width as a fraction of the middle, or `None`."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / self.middle


def interval_of(rounds: Rounds, seed: str) -> Interval:
    """The 95 % interval of the median of all repeats.

    Positive values are taken by their logarithms, so that both ends are positive too.

    Args:
        rounds: The repeats of each round, all in any order; shape (rounds, repeats of the round).
        seed: What the draws are made from: the same values and seed give the same interval.
    """
    rounds = sorted(rounds, key=sorted)
    middle = statistics.median([value for values in rounds for value in values])
    reason = why_none(rounds)
    if reason:
        return Interval(middle, reason=reason)
    chance = generator(seed)
    medians = drawn_medians(rounds, drawn_rounds(len(rounds), chance), chance)
    to_scale, back = _scale(rounds)
    around = to_scale(middle)
    away = margin(to_scale(medians), len(rounds))
    return Interval(middle, float(back(around - away)), float(back(around + away)))


def why_none(rounds: Rounds) -> str:
    """Why so few rounds and repeats have no interval, or `""`."""
    repeats = sum(map(len, rounds))
    if len(rounds) < LEAST_ROUNDS:
        return f"an interval needs {LEAST_ROUNDS} rounds, and there is {len(rounds)}"
    if repeats < LEAST_REPEATS:
        return f"an interval needs {LEAST_REPEATS} repeats, and there are {repeats}"
    return ""


def generator(seed: str) -> np.random.Generator:
    """What draws, from a text such as a trial's id."""
    return np.random.default_rng(list(seed.encode()))


def drawn_rounds(n_rounds: int, chance: np.random.Generator) -> Indices:
    """Which rounds each draw takes, shape (draws, n_rounds)."""
    return chance.integers(n_rounds, size=(_DRAWS, n_rounds))


def drawn_medians(rounds: Rounds, drawn: Indices, chance: np.random.Generator) -> Floats:
    """The median of each draw: as many repeats of each drawn round as the round has.

    Args:
        rounds: The repeats of each round.
        drawn: Which rounds each draw takes, shape (draws, rounds).
        chance: What draws the repeats.

    Returns:
        Shape (draws,).
    """
    table, sizes = _table(rounds)
    taken = sizes[drawn][..., np.newaxis]
    which = (chance.random((*drawn.shape, table.shape[1])) * taken).astype(np.int64)
    values = table[drawn[..., np.newaxis], which]
    # Shorter rounds are filled up with what sorts behind everything.
    values[np.arange(table.shape[1]) >= taken] = np.inf
    ordered = np.sort(values.reshape(len(drawn), -1), axis=1)
    count = taken.sum(axis=(1, 2))
    each = np.arange(len(drawn))
    medians: Floats = (ordered[each, (count - 1) // 2] + ordered[each, count // 2]) / 2
    return medians


def margin(draws: Floats, n_rounds: int) -> float:
    """How far the ends of the interval lie from its middle.

    Args:
        draws: What each draw gave, shape (draws,).
        n_rounds: The independent rounds that they were drawn from.
    """
    # Its import takes a fifth of a second, and most commands of an agent draw nothing.
    from scipy.special import stdtrit  # noqa: PLC0415

    degrees = n_rounds - 1
    t = stdtrit(degrees, (1 + CONFIDENCE) / 2)
    return float(t * np.std(draws) * np.sqrt(n_rounds / degrees))


def _table(rounds: Rounds) -> tuple[Floats, Indices]:
    """A row per round, sorted so that the order of repeats does not matter, and the sizes."""
    sizes = np.array([len(values) for values in rounds])
    table = np.full((len(rounds), sizes.max()), np.inf)
    for row, values in zip(table, rounds, strict=True):
        row[: len(values)] = sorted(values)
    return table, sizes


def _scale(rounds: Rounds) -> tuple[Callable[..., Floats], Callable[..., Floats]]:
    if min(map(min, rounds)) > 0:
        return np.log, np.exp
    return np.asarray, np.asarray
