"""What Hydra composes of what was asked: real Hydra, real conf."""

import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from odllm_agent.errors import UsageError
from odllm_controller.overrides import line
from odllm_controller.overrides.asked import Asked
from odllm_controller.overrides.composing import composed
from odllm_controller.overrides.writing import override


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(*words: str) -> dict[int, tuple[dict[str, Any], list[str]]]:
    """The jobs of a line by their seeds: their configs, and the lines that compose them alone."""
    found: dict[int, tuple[dict[str, Any], list[str]]] = {}

    def job(config: DictConfig, alone: Asked) -> None:
        found[config.seed] = (
            {str(key): value for key, value in config.items()},
            line.words(line.joined(alone.words)),
        )

    composed(Asked.of(words, "odllm run"), job)
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("+experiment=smoke", "--multirun", "seed=1,2"),
        ("--multirun", "+experiment=smoke", "seed=1,2"),
        ("+experiment=smoke", "seed=1,2", "-m"),
        ("seed=range(1,3)", "-m", "+experiment=smoke"),
        ("+experiment=smoke", "hydra.mode=MULTIRUN", "seed=1,2"),
    ],
)
def test_each_job_of_several_is_what_its_own_line_composes(words: tuple[str, ...]) -> None:
    found = jobs(*words)
    assert set(found) == {1, 2}
    for seed, (config, alone) in found.items():
        assert jobs(*alone) == {seed: (config, alone)}


@pytest.mark.parametrize(
    "path",
    ["/m o/a (1).gguf", "it's, [ö]=$x.gguf", "/m/${HOME} $(id).gguf", 'a"b\\.gguf', "~/é.gguf"],
)
def test_a_hard_path_is_in_the_line_of_every_job(path: str) -> None:
    words = ("+experiment=smoke", "model=[file]", override("models.file.path", path))
    (config, alone) = jobs(*words)[0]
    assert config["models"]["file"]["path"] == path
    assert jobs(*alone)[0] == (config, alone)
    several = jobs(*words, "--multirun", "seed=1,2")
    assert {seed: each["models"]["file"]["path"] for seed, (each, _) in several.items()} == {
        1: path,
        2: path,
    }
    for seed, (each, own) in several.items():
        assert jobs(*own)[seed][0] == each


def test_nothing_is_left_where_nobody_asked_for_it(folder: Path) -> None:
    jobs("+experiment=smoke", "--multirun", "seed=1,2")
    jobs("+experiment=smoke")
    assert not list(folder.iterdir())
    jobs("+experiment=smoke", "--multirun", "seed=1,2", "hydra.sweep.dir=notes")
    assert [each.name for each in folder.iterdir()] == ["notes"]


def test_what_hydra_cannot_compose_is_wrong_usage_and_leaves_the_process_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(UsageError, match="smok"):
        jobs("+experiment=smok")
    assert "HYDRA_FULL_ERROR" not in os.environ


@pytest.mark.parametrize("path", ["/m/a${.gguf", "${", "/m/${a.gguf", "x${a:}y${"])
def test_a_reference_that_has_no_end_is_told_with_how_to_write_the_text(path: str) -> None:
    word = f"models.file.path={path}"
    with pytest.raises(UsageError, match="cannot be read") as refused:
        jobs("+experiment=smoke", "model=[file]", word)
    assert path in refused.value.message
    assert "\n" not in refused.value.message
    assert r"write `\${`" in refused.value.remedy
    written = override("models.file.path", path)
    ((config, _),) = jobs("+experiment=smoke", "model=[file]", written).values()
    assert config["models"]["file"]["path"] == path


def test_a_fault_in_a_job_is_no_wrong_usage() -> None:
    def job(_: DictConfig, __: Asked) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        composed(Asked.of(["+experiment=smoke"], "odllm run"), job)
