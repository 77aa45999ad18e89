"""What a command line asks: options, of which Hydra has some, and overrides, in any order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from odllm_agent.terminal.arguments import Parser
from odllm_controller.overrides import meant
from odllm_controller.overrides.writing import quoted

_MULTIRUN = "--multirun"
_SWITCH: Mapping[str, Any] = {"action": "store_true"}
_OPTIONS: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    ("--help", "-h"): _SWITCH,
    ("--hydra-help",): _SWITCH,
    ("--resolve",): _SWITCH,
    ("--run", "-r"): _SWITCH,
    (_MULTIRUN, "-m"): _SWITCH,
    ("--shell-completion", "-sc"): _SWITCH,
    ("--cfg", "-c"): {"choices": ("job", "hydra", "all")},
    ("--package", "-p"): {},
    ("--config-path", "-cp"): {},
    ("--config-name", "-cn"): {},
    ("--config-dir", "-cd"): {},
    ("--info", "-i"): {"nargs": "?", "const": "all"},
}
# Of what there is to be done, one.
_DEEDS = {"--run", _MULTIRUN, "--shell-completion", "--cfg", "--info"}
# What one of several jobs needs as all of them do.
_OF_EACH_JOB = ("--config-path=", "--config-name=", "--config-dir=")
_OF_ALL_JOBS = re.compile(r"\+*hydra[./](mode|sweep|sweeper|launcher)\b")

_PART = re.compile(r"[^,\[\]{}:=]+")
_PLACE = re.compile(r"([+~]*[\w./@-]*\b(?:path|text))=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """What Hydra is asked.

    Attributes:
        options: Its options, each with its value in one word.
        overrides: The overrides, as it reads them.
    """

    options: tuple[str, ...]
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str], program: str, options: Sequence[str] = ()) -> "Asked":
        """What words ask; it ends the process where an option has not the value that it needs.

        Args:
            words: Options and overrides, in any order.
            program: What they were typed after.
            options: What the program takes beside them, which may be meant by a word.

        Raises:
            UsageError: A word is neither.
        """
        parser = Parser(prog=program, add_help=False)
        deeds = parser.add_mutually_exclusive_group()
        for names, kind in _OPTIONS.items():
            (deeds if names[0] in _DEEDS else parser).add_argument(*names, **kind)
        known, rest = parser.parse_some_args(words)
        meant.check(rest, [*options, *(names[0] for names in _OPTIONS)])
        return cls(tuple(_options(vars(known))), tuple(map(readable, rest)))

    @property
    def is_multirun(self) -> bool:
        """Whether each value of a sweep is a job of its own."""
        return _MULTIRUN in self.options or "hydra.mode=MULTIRUN" in self.overrides

    @property
    def words(self) -> tuple[str, ...]:
        """All of it, as the words of a command line."""
        return (*self.overrides, *self.options)

    def job(self, overrides: Sequence[str]) -> "Asked":
        """What one of several jobs asks when it is alone.

        Args:
            overrides: Those of the job.
        """
        options = tuple(each for each in self.options if each.startswith(_OF_EACH_JOB))
        own = tuple(each for each in overrides if not _OF_ALL_JOBS.match(each))
        return replace(self, options=options, overrides=own)


def readable(word: str) -> str:
    """An override with the quotes that Hydra's grammar wants, where it cannot be read without.

    A shell takes quotes away, and the grammar has no `~` and no letter outside ASCII. A path is a
    path, whatever it has in it.
    """
    key, equals, value = word.partition("=")
    candidates = [word, f"{key}{equals}{_PART.sub(_quoted_if_foreign, value)}"]
    if place := _PLACE.fullmatch(word):
        candidates.append(f"{place[1]}={quoted(place[2])}")
    # What nobody can read is told by Hydra.
    return next(filter(_is_readable, candidates), word)


def _quoted_if_foreign(part: re.Match[str]) -> str:
    text = part[0]
    return text if text.isascii() and "~" not in text else quoted(text)


def _is_readable(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def _options(known: Mapping[str, Any]) -> Iterator[str]:
    for name, value in known.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value:
            yield f"{option}={value}"
