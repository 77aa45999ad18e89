"""What `--help` tells of a command: plain text, whatever it is written to."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from cyclopts import App, Argument

HELP, VERSION = ("-h", "--help"), "--version"

_OF_ALL = {
    ", ".join(HELP): "show this help message and exit",
    VERSION: "show the version of ODLLM",
}
_NEVER_BROKEN = "\N{NO-BREAK SPACE}"
# What a docstring has below what a command does is not for its users.
_OF_PROGRAMMERS = re.compile(r"\n+(?:Args|Returns|Raises):\n")
_WIDEST_NAME, _NARROWEST = 24, 50


def help_text(prog: str, apps: Sequence[App]) -> str:
    """What a command does and takes.

    Its examples, or else those of the program, are never broken into other lines.

    Args:
        prog: What is typed for the command.
        apps: The program, and each command of the one before it.
    """
    app = apps[-1]
    width = max(shutil.get_terminal_size().columns - 2, _NARROWEST)
    taken = parameters(apps)
    usage = " ".join([prog, *(["COMMAND"] if [*app] else []), *map(_in_usage, taken)])
    about = _OF_PROGRAMMERS.split(inspect.cleandoc(app.help))[0]
    positional = {name_of(each): _meaning(each) for each in taken if is_positional(each)}
    options = {name_of(each): _meaning(each) for each in taken if not is_positional(each)}
    examples = next(filter(None, (each.help_epilogue for each in reversed(apps))), "")
    parts = [
        _wrapped(f"usage: {usage}", width, " " * len("usage: ")).replace(_NEVER_BROKEN, " "),
        *(_wrapped(each, width) for each in about.split("\n\n")),
        _section("arguments", positional, width),
        _section("commands", {name: _summary(app[name]) for name in app}, width),
        _section("options", _OF_ALL | options, width),
        examples.rstrip(),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def parameters(apps: Sequence[App]) -> Sequence[Argument]:
    """All that a command takes, with what is said of each.

    Args:
        apps: The program, and each command of the one before it.
    """
    if apps[-1].default_command is None:
        return ()
    return (
        apps[-1]
        .assemble_argument_collection(
            default_parameter=apps[0].default_parameter, parse_docstring=True
        )
        .filter_by(show=True)
    )


def name_of(argument: Argument) -> str:
    """What an argument is called: a positional one by its value, an option with its value."""
    bare = argument.name.lstrip("-").upper().replace("-", "_")
    value = next(_samples(argument.field_info.annotation), bare)
    if is_positional(argument):
        return value
    if choices := argument.get_choices():
        value = f"{{{','.join(choices)}}}"
    return ", ".join(argument.names) + f" {value}" * (not argument.is_flag())


def is_positional(argument: Argument) -> bool:
    """Whether an argument is told by its place."""
    return argument.index is not None


def _section(title: str, lines: Mapping[str, str], width: int) -> str:
    """Names with what they mean beside them, or below a long one."""
    if not lines:
        return ""
    column = min(max(map(len, lines)), _WIDEST_NAME) + 4
    told = [f"{title}:"]
    for name, meaning in lines.items():
        text = _wrapped(meaning, width - column).splitlines() or [""]
        head = f"  {name}".ljust(column)
        if len(name) + 4 > column:
            told.append(head.rstrip())
            head = " " * column
        told += [f"{head}{text[0]}".rstrip(), *(f"{'':{column}}{line}" for line in text[1:])]
    return "\n".join(told)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _summary(command: App) -> str:
    return " ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split())


def _in_usage(argument: Argument) -> str:
    name = name_of(argument).replace(" ", _NEVER_BROKEN)
    _, is_several = argument.token_count()
    word = f"{name}{_NEVER_BROKEN}..." if is_positional(argument) and is_several else name
    return word if argument.required else f"[{word}]"


def _samples(annotation: object) -> Iterator[str]:
    """The texts beside a type, which show what a value looks like."""
    yield from (each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, str))
    for part in get_args(annotation):
        yield from _samples(part)


def _meaning(argument: Argument) -> str:
    default = argument.field_info.default
    has_default = default not in (None, False, (), "", argument.field_info.empty)
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
    told = [argument.parameter.help or "", f"(default: {shown})" * has_default]
    return " ".join(filter(None, told))
