"""What a command line takes, and what is said to a word that it does not know."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from cyclopts import Parameter

from odllm_agent.terminal.program import (
    STORE,
    TYPED_PATH,
    AsJson,
    StorePath,
    Whole,
    exclusive,
    program,
    run,
)

EXAMPLE = f"  pour tea     {'a long line that nobody may break ' * 5}."
pour = program("pour", "Pours.", f"examples:\n{EXAMPLE}\n")
heat = exclusive()
poured: dict[str, Any] = {}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Cup:
    """What is poured into.

    Attributes:
        token_file: who pays, told in so many words that they have to be broken over several lines
        size: how many
    """

    token_file: Annotated[Path | None, TYPED_PATH, "F"] = None
    size: Whole = 1


@pour.command
def tea(
    *,
    as_json: AsJson = False,
    sugar: Literal["none", "much"] = "none",
    hot: Annotated[bool, heat] = False,
    iced: Annotated[bool, heat] = False,
    cup: Cup = Cup(),
) -> int:
    """Pour tea.

    It is hot.

    Args:
        as_json: answer as JSON
        sugar: how much
        hot: as it should be
        iced: as it should not
        cup: into what

    Returns:
        The exit status.
    """
    poured.update(as_json=as_json, sugar=sugar, cup=cup)
    return 3


@pour.command(name="cold-brew")
def coffee(
    beans: Annotated[str, "BEANS"],
    /,
    *more: Annotated[Path, TYPED_PATH],
    milk: tuple[str, ...] = (),
    name: str | None = None,
    store: StorePath = STORE,
) -> int:
    """Pour coffee."""
    poured.update(beans=beans, more=more, milk=milk, name=name, store=store)
    return 0


@pour.command
def pot(
    a: Annotated[str, "A"], b: Annotated[str, "B"], /, *, size: Whole, lid: bool = False
) -> int:
    """Pour a pot."""
    poured.update(a=a, b=b, size=size, lid=lid)
    return 0


@pytest.fixture(autouse=True)
def empty() -> None:
    poured.clear()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tae", "pour: there is no command 'tae'; did you mean tea?"),
        ("milk", "pour: there is no command 'milk'; choose from cold-brew, pot, tea"),
        ("coldbrew x", "pour: there is no command 'coldbrew'; did you mean cold-brew?"),
        ("tae --jsno", "pour: there is no command 'tae'; did you mean tea?"),
        ("tae --help", "pour: there is no command 'tae'; did you mean tea?"),
        ("TEA --help", "pour: there is no command 'TEA'; choose from cold-brew, pot, tea"),
        ("TEA", "pour: there is no command 'TEA'; choose from cold-brew, pot, tea"),
        ("--vresion", "pour: there is no option --vresion; did you mean --version?"),
        ("tea --jsno", "pour tea: there is no option --jsno; did you mean --json?"),
        ("tea --suger none", "pour tea: there is no option --suger; did you mean --sugar?"),
        ("tea --sugar=nnoe", "pour tea: there is no sugar 'nnoe'; did you mean none?"),
        (
            "tea --token_file=x",
            "pour tea: there is no option --token_file; did you mean --token-file?",
        ),
        ("tea --json=true", "pour tea: argument --json: it takes no value"),
        ("tea --token=x", "pour tea: there is no option --token; did you mean --token-file?"),
        ("tea --cup.size 2", "pour tea: there is no option --cup.size; did you mean --size?"),
        ("tea --no-json", "pour tea: there is no option --no-json; did you mean --json?"),
        ("tea --as-json", "pour tea: there is no option --as-json; did you mean --json?"),
        ("tea now", "pour tea: there is nothing to do with 'now'"),
        ("tea now --jsno", "pour tea: there is no option --jsno; did you mean --json?"),
        ("-- tea", "pour: there is no command '--'; choose from cold-brew, pot, tea"),
        ("pot", "pour pot: the following arguments are required: A, B, --size"),
        ("pot a --lid", "pour pot: the following arguments are required: B, --size"),
        ("pot a b", "pour pot: the following arguments are required: --size"),
        ("pot a --size=1", "pour pot: the following arguments are required: B"),
        ("", "pour: the following arguments are required: COMMAND"),
        ("cold-brew", "pour cold-brew: the following arguments are required: BEANS"),
        (
            "cold-brew --stroe x",
            "pour cold-brew: there is no option --stroe; did you mean --store?",
        ),
        ("cold-brew --beans x", "pour cold-brew: there is no option --beans"),
        ("tea --size", "pour tea: argument --size: expected one argument"),
        ("tea --token-file --json", "pour tea: argument --token-file: expected one argument"),
        ("tea --size 2.7", "pour tea: argument --size: invalid int value: '2.7'"),
        ("tea --size many", "pour tea: argument --size: invalid int value: 'many'"),
        ("tea --iced --hot", "pour tea: argument --iced: not allowed with argument --hot"),
    ],
)
def test_a_wrong_word_is_answered_in_two_lines_with_what_was_meant(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(pour, line.split())
    assert end.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == told
    assert second == f"  {told.partition(':')[0]} --help tells all"
    assert not poured


def test_the_version_is_told_by_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("--version", "tea --version", "cold-brew --version"):
        with pytest.raises(SystemExit) as end:
            run(pour, line.split())
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith("odllm ")


def test_the_status_is_that_of_the_function() -> None:
    assert run(pour, ["tea", "--json", "--size", "2", "--token-file=f"]) == 3
    assert poured == {
        "as_json": True,
        "sugar": "none",
        "cup": Cup(token_file=Path("f"), size=2),
    }


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (["x", "--name", "-1"], {"beans": "x", "name": "-1"}),
        (["x", "--name=-y"], {"beans": "x", "name": "-y"}),
        (["x", "--name="], {"beans": "x", "name": ""}),
        (["x", "--name", "none"], {"beans": "x", "name": "none"}),
        (["--", "-x", "--help", "-"], {"beans": "-x", "more": (Path("--help"), Path("-"))}),
        (["x", "y", "--name", "n", "z"], {"more": (Path("y"), Path("z")), "name": "n"}),
        (["x", "-", "--store", "-"], {"more": (Path("-"),), "store": Path("-")}),
        (["x", "--milk", "a", "--milk=b,c", "--milk", '["d"]'], {"milk": ("a", "b,c", '["d"]')}),
        (["x", "--name", "a", "--name", "b"], {"name": "b"}),
        (["--name", "tea", "tea"], {"beans": "tea", "name": "tea"}),
    ],
)
def test_values_are_taken_as_they_were_typed(words: list[str], taken: dict[str, object]) -> None:
    assert run(pour, ["cold-brew", *words]) == 0
    assert poured | taken == poured


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    run(pour, ["cold-brew", "x", "~/y", "--store=~/z"])
    assert (poured["more"], poured["store"]) == ((Path("/home/me/y"),), Path("/home/me/z"))


@pytest.mark.parametrize("columns", ["20", "80", "300"])
def test_help_has_everything_and_leaves_examples_whole(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as end:
        run(pour, ["tea", "--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith("usage: pour tea [--json] [--sugar {none,much}]")
    assert "\n\nPour tea.\n\nIt is hot.\n\n" in told
    assert "Args" not in told
    assert f"\n{EXAMPLE}" in told
    words = " ".join(told.split())
    assert "--sugar {none,much} how much (default: none)" in words
    assert (
        "--token-file F who pays, told in so many words that they have to be broken over" in words
    )
    assert "--size SIZE how many (default: 1)" in words
    body = told.partition("\n\nexamples:")[0].splitlines()
    assert max(map(len, body)) <= max(int(columns), 52)


def test_help_of_a_program_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(pour, ["-h"])
    told = capsys.readouterr().out
    assert "usage: pour COMMAND\n\nPours.\n" in told
    assert "  tea        Pour tea.\n  cold-brew  Pour coffee.\n  pot        Pour a pot.\n" in told


def test_help_is_told_of_the_command_wherever_it_is_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run(pour, ["cold-brew", "x", "--name", "n", "--help"])
    assert "usage: pour cold-brew BEANS [MORE ...] [--milk MILK]" in capsys.readouterr().out
