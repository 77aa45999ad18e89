"""Failures of one cause, told once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from odllm_agent.contract import Failure
from odllm_agent.failures.attempt import Attempt
from odllm_agent.failures.cause import Cause

_MOST_NAMES = 5
_MOST_LOG_LINES = 3
_MOST_LETTERS = 400
_MOST_LOG_LETTERS = 150


@dataclass(frozen=True, slots=True)
class Failed:
    """Something that failed.

    Attributes:
        attempt: What.
        failure: How.
        device: Where, in words, or `""`.
    """

    attempt: Attempt
    failure: Failure
    device: str = ""

    @property
    def cause(self) -> Cause:
        """What it shares with those that are alike."""
        return Cause.of(self.failure, self.attempt)

    @property
    def place(self) -> str:
        """What failed, and where."""
        return f"{self.attempt.told} on {self.device}" if self.device else self.attempt.told


@dataclass(frozen=True, slots=True)
class Alike:
    """Failures of one cause, in their order.

    Attributes:
        cause: The cause.
        failed: What failed of it; at least one.
    """

    cause: Cause
    failed: tuple[Failed, ...]

    @property
    def first(self) -> Failed:
        """The first of them."""
        return self.failed[0]

    def head(self, more: str = "") -> str:
        """One line: what failed, how often, of what, and which was the first.

        Args:
            more: Where all of them are told, such as `odllm explore has all`.
        """
        message = _clipped(self.first.failure.message, _MOST_LETTERS)
        if len(self.failed) == 1:
            return f"{self.first.place}: {message}"
        counts = Counter(each.attempt.noun for each in self.failed)
        n_each = " and ".join(counted(n, noun) for noun, n in counts.items())
        which = "; ".join(filter(None, (f"first: {self.first.place}", more)))
        return f"{n_each} alike: {self.cause.told(message)}{self._where()} ({which})"

    def lines(self, more: str = "") -> list[str]:
        """The head, what to do about it, and the last words of the first; see `head`."""
        failure = self.first.failure
        remedy = " ".join(failure.remedy.split())
        return [line for line in (self.head(more), remedy, *last_words(failure)) if line]

    def _where(self) -> str:
        """At which types, and on how many devices if on several."""
        types = named(each.attempt.quantization for each in self.failed)
        n_devices = len({each.device for each in self.failed})
        at = f" at {types}" if types else ""
        return f"{at} on {n_devices} devices" if n_devices > 1 else at


def alike(found: Iterable[Failed]) -> list[Alike]:
    """What failed, by causes, in the order in which these first came."""
    causes: dict[Cause, list[Failed]] = {}
    for each in found:
        causes.setdefault(each.cause, []).append(each)
    return [Alike(cause, tuple(failed)) for cause, failed in causes.items()]


def told(found: Iterable[Failed], more: str = "") -> list[str]:
    """What went wrong, a text of a few lines per cause; see `Alike.lines`."""
    return ["\n    ".join(each.lines(more)) for each in alike(found)]


def last_words(failure: Failure) -> list[str]:
    """The last few lines of the log of what failed, each cut to what a screen bears."""
    log = [line for line in failure.log.splitlines() if line.strip()][-_MOST_LOG_LINES:]
    return [_clipped(line, _MOST_LOG_LETTERS) for line in log]


def named(names: Iterable[str]) -> str:
    """Names in words, each once, and of many the first and how many more there are."""
    distinct: Sequence[str] = [each for each in dict.fromkeys(names) if each]
    rest = len(distinct) - _MOST_NAMES
    shown = ", ".join(distinct[:_MOST_NAMES])
    return f"{shown} and {rest} more" if rest > 0 else shown


def counted(n: int, noun: str) -> str:
    """So many of something, in words."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _clipped(text: str, most: int) -> str:
    """A text in one line, its end left out if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
