"""What was probably meant by a word that is no option and no override."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from odllm_agent.errors import UsageError
from odllm_agent.terminal.arguments import close_options, nearest
from odllm_controller.overrides import conf, line

_ALL = "`odllm run --help` tells all settings"
# The beginnings of what Hydra says of an override that it can read.
_AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*)'")
_NOT_IN_DEFAULTS = re.compile(r"Could not override '(.*)'\. No match in the defaults list")
_NOT_THERE = re.compile(r"Could not override '(.*)'\.")
_THERE = re.compile(r"Could not append to config\. An item is already at '(.*)'")


def check(words: Sequence[str], options: Sequence[str]) -> None:
    """Refuses a word that has not the form of an override.

    Args:
        words: All that were typed, but for options.
        options: The options that there are.

    Raises:
        UsageError: One is an unknown option, or sets nothing.
    """
    for place, word in enumerate(words):
        if word.startswith("-"):
            raise _no_option(word, next(iter(words[place + 1 :]), ""), options)
        if "=" not in word and not word.startswith("~"):
            raise _sets_nothing(word)
        if not _name(word):
            raise _unreadable(word)


def of_error(error: Exception, words: Sequence[str]) -> UsageError:
    """What to tell of an error that Hydra has raised for some overrides.

    Args:
        error: The error.
        words: The overrides.
    """
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_option_of_group(str(error.missing_cfg_file))
    told = str(error)
    for pattern, explained in (
        (_AMBIGUOUS, _several_values),
        (_NOT_IN_DEFAULTS, _not_in_defaults),
        (_NOT_THERE, _no_setting),
        (_THERE, _set_already),
    ):
        if found := pattern.match(told):
            word = next((each for each in words if _name(each) == found[1]), found[1])
            return explained(word)
    reference = next((each for each in words if "${" in each), "")
    if reference:
        return UsageError(
            f"{reference} cannot be read: {_first_line(error)}",
            r"`${name}` refers to a setting; where the text itself is meant, write `\${`",
        )
    return UsageError(" ".join(told.split()) or type(error).__name__, _ALL)


def _first_line(error: BaseException) -> str:
    """What is at the bottom of an error, in a line."""
    while error.__cause__:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _no_option(word: str, following: str, options: Sequence[str]) -> UsageError:
    """Of a word with dashes: a misspelt option, or a setting written as one."""
    option, equals, value = word.partition("=")
    name = option.lstrip("-")
    if not equals and "=" not in following and not following.startswith("-"):
        value = following
    settings = _settings_called(name)
    meant = close_options(option, options) or [_written(each, value) for each in settings]
    return UsageError(f"there is no option {option}", _did_you_mean(meant))


def _sets_nothing(word: str) -> UsageError:
    bare = word.lstrip("+")
    chosen = [_written(group, bare) for group, options in _groups().items() if bare in options]
    if chosen:
        return UsageError(f"{word} alone sets nothing", _did_you_mean(chosen))
    if bare in {*_groups(), *_settings()}:
        return UsageError(f"{word} alone sets nothing", f"write {_written(bare, '')}")
    options = {option: group for group, each in _groups().items() for option in each}
    close = difflib.get_close_matches(bare, options, n=1)
    meant = [_written(options[each], each) for each in close]
    return UsageError(f"{word} alone sets nothing", _did_you_mean(meant))


def _unreadable(word: str) -> UsageError:
    name, equals, value = word.partition("=")
    if not equals or not _name(word):
        return UsageError(f"{word} sets nothing", "write an override as NAME=VALUE")
    return UsageError(
        f"{word} cannot be read",
        f"if it is a text, put it in quotes: {line.typed(name, value)}",
    )


def _no_option_of_group(file: str) -> UsageError:
    group, _, name = file.rpartition("/")
    options = _groups().get(group)
    if options is None:
        return UsageError(f"there is no file {file}.yaml of a config", _ALL)
    return UsageError(f"there is no {group} {name!r}", nearest(name, options))


def _several_values(word: str) -> UsageError:
    name, _, value = word.partition("=")
    return UsageError(
        f"{word} is several values",
        f"add --multirun for a run of each, or write {shlex.quote(f'{name}=[{value}]')} for one "
        "run of all; a text with a comma in it needs quotes of its own: "
        f"{line.typed(name, value)}",
    )


def _not_in_defaults(word: str) -> UsageError:
    return UsageError(f"{_name(word)} is not chosen yet", f"write +{word.lstrip('+')}")


def _no_setting(word: str) -> UsageError:
    name, _, value = word.partition("=")
    bare = name.lstrip("+~")
    if bare in _settings():
        section, part, *_ = bare.split(".")
        group = section.removesuffix("s")
        return UsageError(f"{part} is not chosen, so {bare} sets nothing", f"add {group}=[{part}]")
    meant = [_written(each, value) for each in _settings_called(bare)]
    return UsageError(f"there is no setting {bare}", _did_you_mean(meant))


def _set_already(word: str) -> UsageError:
    return UsageError(f"{_name(word)} has a value already", f"write {word.lstrip('+')}")


def _did_you_mean(words: Sequence[str]) -> str:
    return f"did you mean {' or '.join(map(shlex.quote, words))}?" if words else _ALL


def _name(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _written(name: str, value: str) -> str:
    """A setting with a value, as it is to be typed."""
    options = _groups().get(name)
    if options is None:
        return f"{name}={value or 'VALUE'}"
    if value and value not in options and f"{name}.path" in _settings():
        return f"{name}.path={value}"
    sign = "" if name in _defaults() else "+"
    is_list = value.startswith("[")
    close = [value] if is_list else difflib.get_close_matches(value, options, n=1)
    return f"{sign}{name}={(close or ['|'.join(options)])[0]}"


def _settings_called(name: str) -> Sequence[str]:
    """The groups and settings that a name may stand for, the likeliest first."""
    known = [*_groups(), *_settings()]
    if name in known:
        return [name]
    short: dict[str, list[str]] = {}
    for each in known:
        short.setdefault(each.rpartition(".")[2], []).append(each)
    if name in short:
        return short[name][:3]
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.75):
        return close
    return [full for each in difflib.get_close_matches(name, short, n=1) for full in short[each]][
        :3
    ]


@cache
def _groups() -> Mapping[str, Sequence[str]]:
    """The groups of configs, with their options."""
    return {group: conf.options(group) for group in conf.groups()}


@cache
def _defaults() -> frozenset[str]:
    """The groups of which every experiment has an option."""
    entries = OmegaConf.load(conf.FOLDER / "config.yaml").defaults
    return frozenset(str(name) for each in entries if isinstance(each, DictConfig) for name in each)


@cache
def _settings() -> Sequence[str]:
    """All settings by their full names, whatever is chosen."""
    groups = ("model", "engine", "workload")
    everything = [f"{group}=[{','.join(_groups()[group])}]" for group in groups]
    with initialize_config_dir(str(conf.FOLDER), version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", everything))
    return tuple(_names(composed))


def _names(config: object, within: str = "") -> Iterator[str]:
    if isinstance(config, dict):
        for key, value in config.items():
            yield f"{within}{key}"
            yield from _names(value, f"{within}{key}.")
