"""What all commands of both programs have: help, version, and an answer to a wrong word."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from cyclopts import App

import odllm_app.cli
import odllm_app.report.cli
from odllm_agent import cli as agent
from odllm_controller.cli.commands import fleet
from odllm_controller.cli.main import _SHOWN_COMMANDS
from odllm_controller.cli.main import main as controller

Main = Callable[[list[str]], int]

# What a command must be told before anything can be too much; of those that take any number of
# words none is.
NEEDED = {
    "odllm-agent run": ["t.json", "--out", "r.jsonl"],
    "odllm-agent models pull": ["m"],
    "odllm-agent models add": ["m.gguf"],
    "odllm-agent models find": ["package:m==1"],
    "odllm-agent models remove": None,
    "odllm-agent power-log": ["p.csv"],
    "odllm-agent join": ["head", "--token-file", "t"],
    "odllm-agent install-service": ["head", "--token-file", "t"],
    "odllm-agent serve": ["--token-file", "t"],
    "odllm compare": ["a", "b"],
    "odllm import": None,
    "odllm export": ["r.csv"],
    "odllm report": ["run"],
    "odllm fleet certificate": None,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: object
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A command as it is typed, and what carries it out."""

    name: str
    main: Main
    words: tuple[str, ...]

    def ended(self, capsys: pytest.CaptureFixture[str], *more: str) -> Ended:
        """How it ends."""
        capsys.readouterr()
        try:
            status: object = self.main([*self.words, *more])
        except SystemExit as end:
            status = end.code
        return Ended(status, *capsys.readouterr())


def within(program: App, name: str, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of a program, and of all commands in it."""
    yield words
    for command in program:
        yield from within(program[command], name, (*words, command))


def commands() -> Iterator[Typed]:
    """Every command of both programs."""
    for words in within(agent.app, "odllm-agent"):
        yield Typed(" ".join(["odllm-agent", *words]), agent.main, words)
    for name in _SHOWN_COMMANDS:
        if name not in {"help", "fleet", "explore", "report"}:
            yield Typed(f"odllm {name}", controller, (name,))
    for words in within(fleet.app, "odllm fleet", ("fleet",)):
        yield Typed(" ".join(["odllm", *words]), controller, words)
    for action in ("list", "push", "prune"):
        yield Typed(f"odllm fleet models {action}", controller, ("fleet", "models", action))
    # The controller has them carried out by a process of theirs.
    yield Typed("odllm explore", odllm_app.cli.main, ())
    yield Typed("odllm report", odllm_app.report.cli.main, ())


ALL: Sequence[Typed] = [*commands()]
each_command = pytest.mark.parametrize("typed", ALL, ids=lambda typed: typed.name)


def is_group(typed: Typed) -> bool:
    """Whether a command needs another behind it."""
    return any(other.name.startswith(f"{typed.name} ") for other in ALL)


@each_command
def test_help_has_examples(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    for asked in ("--help", "-h"):
        ended = typed.ended(capsys, asked)
        assert (ended.status, ended.err) == (0, "")
        program = typed.name.partition(" ")[0]
        assert any(
            line.startswith("  ") and f"{program} " in line for line in ended.out.splitlines()
        )
        assert "\x1b" not in ended.out


@each_command
def test_the_version_is_told(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    ended = typed.ended(capsys, "--version")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("odllm ")


@each_command
@pytest.mark.parametrize("option", ["--versoin", "--versoin=1", "--vers"])
def test_an_option_that_is_none_is_wrong_usage_and_told_with_what_was_meant(
    typed: Typed, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = typed.ended(capsys, option)
    assert (ended.status, ended.out) == (2, "")
    assert f"there is no option {option.partition('=')[0]}" in ended.err
    assert "did you mean --version?" in ended.err
    assert len(ended.err.splitlines()) == 2
    assert ended.err.startswith((f"{typed.name}: ", "odllm: "))


@each_command
def test_a_word_too_much_is_wrong_usage(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    needed = NEEDED.get(typed.name, [])
    if needed is None:
        pytest.skip("it takes any number of words")
    ended = typed.ended(capsys, *needed, "surplus")
    assert (ended.status, ended.out) == (2, "")
    assert "surplus" in ended.err
    told = "there is no command" if is_group(typed) else ("nothing to do with", "sets nothing")
    assert any(words in ended.err for words in ([told] if isinstance(told, str) else told))
    assert len(ended.err.splitlines()) == 2


def test_no_command_is_forgotten() -> None:
    assert {typed.words[0] for typed in ALL if typed.main is controller} == (
        {*_SHOWN_COMMANDS} - {"help", "explore", "report"}
    )
    assert NEEDED.keys() <= {typed.name for typed in ALL}
