"""What a child process finds, a line of JSON each, among whatever a library prints."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from odllm_agent.contract import Outcome, PathTest, from_json, to_json

T = TypeVar("T")
Outcomes = Mapping[tuple[str, str], Outcome]
"""What is known already, by type and code path."""

_MARK = "odllm: "


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What an engine says of itself.

    Attributes:
        version: Its version.
        system: How it was built.
        variants: The libraries of which one computes, the best for this processor first; none
            where there is no choice.
    """

    version: str
    system: str
    variants: tuple[str, ...] = ()


def say(found: object) -> None:
    """Prints a value of a contract type, so that it is seen even if the process dies next."""
    sys.stdout.write(f"{_MARK}{to_json(found)}\n")
    sys.stdout.flush()


def is_said(line: str) -> bool:
    """Whether a line is one of these, and none of a library's."""
    return line.startswith(_MARK)


def heard(kind: type[T], log: Iterable[str]) -> Iterator[T]:
    """The values of a type in a process's output; a last line cut off by its death is left out."""
    for line in log:
        if is_said(line):
            # A line of another type, or one that was cut off.
            with contextlib.suppress(ValueError, TypeError):
                yield from_json(kind, line.removeprefix(_MARK))


def as_option(test: PathTest) -> str:
    """What came of a test, for the command line of the process that goes on with the others."""
    return f"--known={test.type}:{test.outcome}:{test.path}"


def asked(words: Iterable[str]) -> tuple[int, Outcomes, Sequence[str]]:
    """What the words of such a command line say, each an option with its value.

    Returns:
        How many threads a trial would have, what came of tests already, and the types that the
        other engine computes wrongly.
    """
    told: dict[str, list[str]] = {"--threads": ["1"], "--known": [], "--unsound": []}
    for option, _, value in (word.partition("=") for word in words):
        told[option].append(value)
    known: dict[tuple[str, str], Outcome] = {}
    for text in told["--known"]:
        type_name, outcome, path = text.split(":", 2)
        known[type_name, path] = Outcome(outcome)
    return int(told["--threads"][-1]), known, told["--unsound"]
