"""The command line of a run, as it is stored and printed."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from odllm_controller.overrides.writing import Value, override

PROGRAM = ("odllm", "run")

# Where a word begins in a line whose quotes were lost: at an option, or at the name of an override.
_WORD_BEGINS = re.compile(r"\s+(?=-|[+~]{0,2}[A-Za-z_][\w./@-]*=)")


def joined(words: Sequence[str]) -> str:
    """A line that a shell takes apart into just these words."""
    return shlex.join(words)


def typed(key: str, value: Value) -> str:
    """An override as a part of a line."""
    return joined([override(key, value)])


def into_store(path: Path) -> str:
    """The line that measures something into a store."""
    return joined([*PROGRAM, "+experiment=sweep", override("store.path", str(path))])


def words(line: str) -> list[str]:
    """The words of a stored line.

    Lines of earlier versions have no quotes; in those, an override reaches up to the next one.
    """
    try:
        found = shlex.split(line)
    except ValueError:
        found = []
    return found if joined(found) == line else _WORD_BEGINS.split(line)
