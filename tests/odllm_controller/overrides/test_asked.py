"""What a command line asks of Hydra."""

from itertools import permutations

import pytest

from odllm_agent.errors import UsageError
from odllm_controller.overrides.asked import Asked, readable
from tests.odllm_controller.configs import experiment


def asked(*words: str) -> Asked:
    return Asked.of(words, "odllm run")


@pytest.mark.parametrize("option", ["--multirun", "-m"])
def test_an_option_may_stand_anywhere(option: str) -> None:
    words = ("+experiment=smoke", option, "seed=1,2")
    for each in permutations(words):
        found = asked(*each)
        assert found.is_multirun
        assert set(found.overrides) == {"+experiment=smoke", "seed=1,2"}
        assert found.words[-1] == "--multirun"


def test_options_with_a_value_take_it_as_a_word_of_their_own_or_not() -> None:
    told = ("--cfg=job", "--config-dir=/x y")
    assert asked("--cfg", "job", "seed=1", "-cd", "/x y").options == told
    assert asked("--config-dir=/x y", "-c", "job").options == told


def test_a_job_is_asked_for_alone_without_what_is_of_all_jobs() -> None:
    found = asked("+experiment=smoke", "-m", "seed=1,2", "--config-dir=/x")
    alone = found.job(["+experiment=smoke", "seed=1", "hydra.mode=MULTIRUN", "hydra.sweep.dir=/y"])
    assert alone.words == ("+experiment=smoke", "seed=1", "--config-dir=/x")
    assert not alone.is_multirun


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("store.path=/m o/a (1).duckdb", "/m o/a (1).duckdb"),
        ("store.path=größe/模型.duckdb", "größe/模型.duckdb"),
        ("store.path=a#b;c&d.duckdb", "a#b;c&d.duckdb"),
        ("store.path=it's.duckdb", "it's.duckdb"),
        ("store.path='/m o/a (1).duckdb'", "/m o/a (1).duckdb"),
        ("store.path=[x].duckdb", "[x].duckdb"),
        ("store.path=plain.duckdb", "plain.duckdb"),
    ],
)
def test_a_path_may_have_any_letter_though_the_grammar_has_not(word: str, path: str) -> None:
    assert str(experiment(readable(word)).store.path) == path


def test_a_tilde_is_the_home_folder_wherever_a_path_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for word in ("store.path=~/x.duckdb", "store.path='~/x.duckdb'"):
        assert str(experiment(readable(word)).store.path) == "/home/me/x.duckdb"
    listed = experiment(readable("quality.tasks=[~/a.jsonl,/ö/b.jsonl,math]")).quality.tasks
    assert listed == ("~/a.jsonl", "/ö/b.jsonl", "math")


def test_what_hydra_reads_stays_as_it_was_typed() -> None:
    for word in ("seed=1,2", "~quality", "+a={b:[c,'d e']}", "store.path=${name}.duckdb", "a=x y"):
        assert readable(word) == word


@pytest.mark.parametrize("word", ["--jsn", "smoke", "-x", "--experiment=smoke"])
def test_a_word_that_is_neither_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        asked("+experiment=smoke", word)
