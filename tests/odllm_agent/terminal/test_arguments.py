"""What is said to a word that a command does not know."""

import pytest

from odllm_agent import cli
from odllm_agent.commands import NAMES
from odllm_agent.terminal.arguments import Parser, close_options


def parser() -> Parser:
    found = Parser(prog="pour")
    found.add_argument("--json", action="store_true")
    found.add_argument("--token-file")
    kinds = found.add_subparsers(required=True, metavar="COMMAND")
    kinds.add_parser("tea").add_argument("--sugar", choices=("none", "much"))
    kinds.add_parser("coffee")
    return found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cofee", "pour: there is no command 'cofee'; did you mean coffee?"),
        ("milk", "pour: there is no command 'milk'; choose from coffee, tea"),
        ("--jsno tea", "pour: there is no option --jsno; did you mean --json?"),
        ("tea --suger none", "pour tea: there is no option --suger; did you mean --sugar?"),
        ("tea --sugar=nnoe", "pour tea: there is no sugar 'nnoe'; did you mean none?"),
        ("--token=x tea", "pour: there is no option --token; did you mean --token-file?"),
        ("tea now", "pour tea: there is nothing to do with 'now'"),
        ("", "pour: the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_word_is_answered_in_two_lines_with_what_was_meant(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args(line.split())
    assert end.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == told
    assert second.endswith("--help tells all")


def test_the_version_is_told_by_every_parser(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("--version", "tea --version"):
        with pytest.raises(SystemExit) as end:
            parser().parse_args(line.split())
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith("odllm ")


def test_a_word_cut_short_means_all_that_begin_with_it() -> None:
    assert close_options("--to", ["--token", "--top", "--json"]) == ["--token", "--top"]
    assert close_options("--jason", ["--token", "--top", "--json"]) == ["--json"]
    assert close_options("--x", ["--token"]) == []


@pytest.mark.parametrize("command", NAMES)
def test_every_command_of_the_agent_that_is_named_is_there(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert f"odllm-agent {command}" in capsys.readouterr().out


def test_no_command_of_the_agent_is_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["nonsense-beyond-any-likeness"])
    listed = capsys.readouterr().err.splitlines()[0].partition("choose from ")[2]
    assert listed.split(", ") == sorted(NAMES)
