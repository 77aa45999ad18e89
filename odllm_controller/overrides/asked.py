"""What a command line asks: options, of which Hydra has some, and overrides, in any order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from cyclopts import Parameter
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from odllm_agent.terminal import program
from odllm_agent.terminal.program import Override, exclusive
from odllm_controller.overrides import meant
from odllm_controller.overrides.writing import quoted

_MULTIRUN = "--multirun"
_deed = exclusive()
# What one of several jobs needs as all of them do.
_OF_EACH_JOB = ("--config-path=", "--config-name=", "--config-dir=")
_OF_ALL_JOBS = re.compile(r"\+*hydra[./](mode|sweep|sweeper|launcher)\b")

_PART = re.compile(r"[^,\[\]{}:=]+")
_PLACE = re.compile(r"([+~]*[\w./@-]*\b(?:path|text))=(.*)", re.DOTALL)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class HydraOptions:
    """The options that Hydra has; of those that are a deed, one can be done."""

    help: Annotated[bool, Parameter(name=("--help", "-h"))] = False
    hydra_help: bool = False
    resolve: bool = False
    run: Annotated[bool, Parameter(name=("--run", "-r")), _deed] = False
    multirun: Annotated[bool, Parameter(name=(_MULTIRUN, "-m")), _deed] = False
    shell_completion: Annotated[bool, Parameter(name=("--shell-completion", "-sc")), _deed] = False
    cfg: Annotated[
        Literal["job", "hydra", "all"] | None, Parameter(name=("--cfg", "-c")), _deed
    ] = None
    package: Annotated[str | None, Parameter(name=("--package", "-p"))] = None
    config_path: Annotated[str | None, Parameter(name=("--config-path", "-cp"))] = None
    config_name: Annotated[str | None, Parameter(name=("--config-name", "-cn"))] = None
    config_dir: Annotated[str | None, Parameter(name=("--config-dir", "-cd"))] = None
    info: Annotated[str | None, Parameter(name=("--info", "-i")), _deed] = None


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
    def of(cls, words: Sequence[str], prog: str, options: Sequence[str] = ()) -> "Asked":
        """What words ask; it ends the process where an option has not the value that it needs.

        Args:
            words: Options and overrides, in any order.
            prog: What they were typed after.
            options: What is taken beside them, which may be meant by a word.

        Raises:
            UsageError: A word is neither.
        """
        app = program.program(prog)
        app.default(_taken)
        hydra, rest = program.call(app, _complete(words))
        meant.check(rest, [*dict.fromkeys([*options, *program.options(app)])])
        return cls(tuple(_options(hydra)), tuple(map(readable, rest)))

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


def _taken(
    *overrides: Override, hydra: HydraOptions = HydraOptions()
) -> tuple[HydraOptions, tuple[str, ...]]:
    return hydra, overrides


def _complete(words: Sequence[str]) -> Iterator[str]:
    """The words, with `all` for `--info` where nothing is named that it shall tell."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        names_none = not following or "=" in following or following.startswith(("-", "+", "~"))
        yield f"{word}=all" if word in {"--info", "-i"} and names_none else word


def _options(given: HydraOptions) -> Iterator[str]:
    for name, value in asdict(given).items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value:
            yield f"{option}={value}"
