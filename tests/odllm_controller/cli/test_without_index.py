import json
import subprocess
from pathlib import Path

import pytest

from odllm_controller.cli.main import main
from odllm_controller.cli.without_index import instead
from odllm_controller.overrides.asked import Asked
from tests.odllm_controller.configs import experiment


@pytest.fixture
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose pip knows no index, with an empty cache."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))


def asked(*words: str) -> Asked:
    return Asked(options=(), overrides=("+experiment=sweep", *words))


def forbidden(*_: object, **__: object) -> None:
    pytest.fail("an index was asked")


@pytest.mark.usefixtures("no_index")
def test_the_reference_ladder_takes_the_place_of_what_no_index_gives() -> None:
    found = instead(experiment(name="sweep"), asked("rounds=2"))
    assert found is not None
    assert found.asked.overrides == ("+experiment=reference", "rounds=2")
    assert "smollm2-135M cannot be fetched" in found.told
    assert "`reference` is run in place of `sweep`" in found.told


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sweep", ["model=[smollm2-135M]"]),
        ("sweep", ["models.smollm2-135M.requantize=false"]),
        ("sweep", ["fleet=ray"]),
        ("reference", []),
    ],
)
def test_nothing_takes_the_place_of_what_was_named_or_is_fetched_elsewhere(
    monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]
) -> None:
    monkeypatch.setattr(subprocess, "run", forbidden)
    assert instead(experiment(*words, name=name), asked(*words)) is None


def test_a_model_that_can_be_had_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 0, json.dumps({"trouble": ""}).encode())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert instead(experiment(name="sweep"), asked()) is None


@pytest.mark.usefixtures("no_index")
def test_a_plan_tells_what_it_plans_in_the_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["quantizations=[Q4_0]", "engine=[llama_cpp]", "model=[reference-1.6M]"]
    assert main(["plan", "+experiment=sweep", *words]) == 0
    assert "in place of" not in capfd.readouterr().err
    assert main(["plan", "+experiment=sweep", *words[:2]]) == 0
    told = capfd.readouterr()
    assert "`reference` is run in place of `sweep`" in " ".join(told.err.split())
    assert "reference-7.6M" in told.out
