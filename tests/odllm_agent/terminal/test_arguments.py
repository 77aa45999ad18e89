"""What is said to a word that a command does not know."""

import pytest

from odllm_agent import cli
from odllm_agent.commands import NAMES
from odllm_agent.terminal.arguments import close_options


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
