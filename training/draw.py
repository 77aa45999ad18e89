"""Random draws that give the same result on every machine and Python version."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of draws named by a seed and a path.

    Only ``random.Random.random`` is used: the language promises that its sequence for a given
    integer seed never changes, which it does not promise for ``choice``, ``shuffle`` or ``sample``.
    """

    def __init__(self, seed: int, *path: str) -> None:
        """Start the stream.

        Args:
            seed: The seed of the whole corpus.
            *path: Names that set this stream apart from the others of the same seed.
        """
        digest = hashlib.sha256("/".join((str(seed), *path)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - no secret

    def below(self, limit: int) -> int:
        """Return an integer from 0 up to, not including, ``limit``."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """Return an integer from ``low`` up to and including ``high``."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability (0 to 1)."""
        return self._random.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """Return one item, all being equally likely."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Return ``count`` items from different positions, in random order."""
        return self.shuffled(items)[:count]


def bucket(text: str, count: int) -> int:
    """Return a number below ``count`` that depends on the text alone.

    Unlike ``hash()``, it is the same in every process.
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % count
