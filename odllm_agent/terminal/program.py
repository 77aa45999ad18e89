"""A command line: functions declare what it takes, and a wrong word is answered in two lines.

What such a function gives is the exit status; its docstring is what `--help` tells.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import (
    App,
    Argument,
    ArgumentCollection,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from odllm_agent.files.typed_path import STANDARD, typed_path
from odllm_agent.terminal.arguments import close_options, nearest
from odllm_agent.terminal.help_text import (
    HELP,
    VERSION,
    help_text,
    is_positional,
    name_of,
    parameters,
)

_WRONG_USAGE = 2
_NO_MORE_OPTIONS = "--"
# What `--x` is means nothing with another word in front of it, and no value is read as JSON.
_STRICT = Parameter(negative=(), allow_repeating=True, json_dict=False, json_list=False)


def _path(_: object, tokens: Sequence[Token]) -> Path:
    return typed_path(tokens[0].value)


def _whole(_: object, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError as error:
        raise ValueError(f"invalid int value: {tokens[0].value!r}") from error


def one_of(kind: type[StrEnum]) -> Parameter:
    """Has a parameter take one of the values of an enumeration."""
    return Parameter(converter=lambda _, tokens: kind(tokens[0].value), choices=[*map(str, kind)])


TYPED_PATH = Parameter(converter=_path)
"""Has a parameter take a path as `typed_path` reads it."""

# A text beside a parameter is what stands for its value in the help.
Whole = Annotated[int, Parameter(converter=_whole)]
"""A whole number; without it 2.7 would be 3."""

Override = Annotated[str, Parameter(allow_leading_hyphen=True), "+experiment=NAME"]
"""A word that goes on to Hydra, an option too that is none of ours."""

AsJson = Annotated[bool, Parameter(name="--json")]
"""Whether a script reads the answer."""

StorePath = Annotated[Path, Parameter(name="--store", converter=_path), "F"]
"""The file of a store."""

STORE = Path("results/odllm.duckdb")
"""The store where none is named."""


def exclusive() -> Parameter:
    """Has at most one of the parameters be given that share it."""
    return Parameter(group=Group(validator=_at_most_one, show=False))


def program(name: str, about: str | None = None, examples: str | None = None) -> App:
    """A program, or a command of one.

    Args:
        name: What is typed for it.
        about: What it does, where the function that it calls does not tell.
        examples: What its help ends with; of a command those of the program unless told.
    """
    return App(
        name,
        about,
        help_epilogue=examples,
        help_flags=(),
        version_flags=(),
        default_parameter=_STRICT,
    )


def run(app: App, words: Iterable[str], *, helps: bool = True) -> int:
    """Does what a command line asks, which may be to tell about itself.

    It ends the process with help, with the version, or where a word is wrong.

    Args:
        app: The program.
        words: What follows its name.
        helps: Whether it has no help of its own.

    Returns:
        The exit status.
    """
    typed = list(words)
    prog, apps, _ = _command(app, typed)
    asked = set(takewhile(lambda word: word != _NO_MORE_OPTIONS, typed))
    if helps and asked.intersection(HELP):
        _end(help_text(prog, apps))
    if VERSION in asked:
        _end(f"odllm {metadata.version('odllm')}\n")
    status: int = call(app, typed)
    return status


def call(app: App, words: Iterable[str]) -> Any:
    """What the function gives that a command line calls; a wrong word ends the process.

    Args:
        app: The program.
        words: What follows its name.
    """
    # A dash alone is a value, which cyclopts takes for an option.
    typed = [f"./{word}" if word == str(STANDARD) else word for word in words]
    prog, apps, rest = _command(app, typed)
    if apps[-1].default_command is None and not rest:
        _refuse(prog, "the following arguments are required: COMMAND")
    if loose := _loosely_written(typed, apps):
        _refuse(prog, loose)
    try:
        command, bound, _ = app.parse_args(typed, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        _refuse(prog, _told(error, apps))
    return command(*bound.args, **bound.kwargs)


def options(*apps: App) -> list[str]:
    """The long options that a command takes.

    Args:
        apps: The program, and each command of the one before it.
    """
    names = [*(name for each in parameters(apps) for name in each.names), *HELP, VERSION]
    return [name for name in names if name.startswith("--")]


def _command(app: App, words: Sequence[str]) -> tuple[str, Sequence[App], Sequence[str]]:
    """What is typed for a command, the program and each command within it, and the words left."""
    chain, apps, rest = app.parse_commands(words)
    prog = app.name[0]
    for word, within in zip(chain, apps, strict=False):
        # One that is written otherwise, such as in capitals, would do for cyclopts.
        if word not in within:
            _refuse(prog, _no_command(word, within))
        prog = f"{prog} {word}"
    word = next(iter(rest), "-")
    if apps[-1].default_command is None and (word == _NO_MORE_OPTIONS or word[:1] != "-"):
        _refuse(prog, _no_command(word, apps[-1]))
    return prog, apps, rest


def _end(told: str) -> NoReturn:
    sys.stdout.write(told)
    sys.exit(0)


def _refuse(prog: str, message: str) -> NoReturn:
    sys.stderr.write(f"{prog}: {message}\n  {prog} --help tells all\n")
    sys.exit(_WRONG_USAGE)


def _told(error: CycloptsError, apps: Sequence[App]) -> str:
    """What was wrong, in words of our own where the library's are for its programmers."""
    if misspelt := _unknown_option(error):
        close = close_options(misspelt, options(*apps))
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"there is no option {misspelt}{meant}"
    match error:
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            told = f"there is nothing to do with {word!r}"
        case MissingArgumentError(keyword=str(option)):
            told = f"argument {option}: expected one argument"
        case MissingArgumentError(argument=Argument() as missing):
            told = "the following arguments are required: " + ", ".join(
                map(_bare_name, _missing(missing, error.root_input_tokens or (), apps))
            )
        case CoercionError(argument=Argument() as wrong, token=Token(value=value)):
            told = _no_value(wrong, value, error)
        case ValidationError(exception_message=message):
            told = message
        case _:
            told = str(error)
    return told


def _loosely_written(words: Iterable[str], apps: Sequence[App]) -> str:
    """What is wrong with an option that cyclopts would take, or `""`."""
    known = {name: each for each in parameters(apps) for name in each.names}
    for word in takewhile(lambda word: word != _NO_MORE_OPTIONS, words):
        option, equals, _ = word.partition("=")
        if option not in known and (meant := option.replace("_", "-")) in known:
            return f"there is no option {option}; did you mean {meant}?"
        if equals and option in known and known[option].is_flag():
            return f"argument {option}: it takes no value"
    return ""


def _unknown_option(error: CycloptsError) -> str | None:
    """The option that is none, which may have been meant for what is missing."""
    left = list(error.unused_tokens or ())
    match error:
        case UnknownOptionError():
            left.insert(0, error.token.keyword or error.token.value)
        case CoercionError() | ValidationError() | MissingArgumentError(keyword=str()):
            return None
    unread = takewhile(lambda word: word != _NO_MORE_OPTIONS, left)
    return next((word.partition("=")[0] for word in unread if word.startswith("-")), None)


def _no_command(word: str, app: App) -> str:
    return f"there is no command {word!r}; {nearest(word, app)}"


def _no_value(argument: Argument, value: str, error: CoercionError) -> str:
    if choices := argument.get_choices():
        name = argument.name.lstrip("-").lower()
        return f"there is no {name} {value!r}; {nearest(value, choices)}"
    kind = getattr(error.target_type, "__name__", "")
    return f"argument {_bare_name(argument)}: {error.msg or f'invalid {kind} value: {value!r}'}"


def _bare_name(argument: Argument) -> str:
    return name_of(argument) if is_positional(argument) else argument.name


def _missing(first: Argument, words: Iterable[str], apps: Sequence[App]) -> Iterator[Argument]:
    """What must be told and is not, of which the library names the first."""
    given = {word.partition("=")[0] for word in words}
    for each in parameters(apps):
        if each.index is None:
            is_missing = not given.intersection(each.names)
        else:
            is_missing = first.index is not None and each.index >= first.index
        if each.required and is_missing:
            yield each


def _at_most_one(group: ArgumentCollection) -> None:
    first, *more = [each.name for each in group if each.has_tokens] or [""]
    for other in more:
        raise ValueError(f"argument {other}: not allowed with argument {first}")
