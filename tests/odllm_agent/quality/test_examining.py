"""Examining the reference ladder with the real llama.cpp."""

import dataclasses
import json
from pathlib import Path

import pytest

from odllm_agent.contract import Exam, ModelFile, ModelRequest, QualityCheck, Score, Source
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import UsageError
from odllm_agent.models import Cache, ladder, prepare
from odllm_agent.quality.examining import evaluate, look_up
from odllm_agent.trials.worker import run_check, run_look_up
from tests import support

NAMES = ("reference-1.6M", "reference-7.6M")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return {
        name: prepare(ModelRequest(name, Source.REFERENCE, name), cache, 2**32) for name in NAMES
    }


def check(model: ModelFile, task: str, limit: int | None = None) -> QualityCheck:
    settings = check_settings("llama_cpp", {"threads": 1})
    engine = dataclasses.replace(support.engine(), settings=settings)
    exam = look_up(Exam(task, "", limit))
    return QualityCheck("d", model, engine, exam=exam)


def examined(model: ModelFile, task: str, limit: int | None = None) -> Score:
    asked = check(model, task, limit)
    assert asked.exam is not None
    (score,) = evaluate(asked, asked.exam)
    return score


def shipped(name: str, kind: str) -> float:
    """What training found for a model, in float32 with torch."""
    content = json.loads((ladder.folder() / "ladder.json").read_bytes())
    (model,) = (each for each in content["models"] if each["name"] == name)
    return float(model["accuracy"][kind])


@pytest.mark.parametrize("kind", ["arithmetic", "fact"])
def test_the_reference_tasks_find_what_training_found(
    models: dict[str, ModelFile], kind: str
) -> None:
    score = examined(models["reference-1.6M"], f"reference-{kind}")
    assert (score.metric, score.n) == ("accuracy", 98)
    # One question of 98 may tip over between float32 and float16.
    assert score.value == pytest.approx(shipped("reference-1.6M", kind), abs=1.5 / 98)


def test_a_larger_model_calculates_better(models: dict[str, ModelFile]) -> None:
    small, large = (examined(models[name], "reference-arithmetic", 40) for name in NAMES)
    assert small.value is not None
    assert large.value is not None
    assert large.value > small.value + 0.3
    assert large.n == 40


def test_a_task_of_ones_own_mixes_choices_answers_and_patterns(
    models: dict[str, ModelFile], tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    lines = [
        {"prompt": "20 - 10 =", "choices": ["19", "10"], "answer": "10"},
        {"prompt": "20 - 10 =", "answer": "10"},
        {"prompt": "20 - 10 =", "pattern": "^1\\d$", "max_tokens": 6},
        {"prompt": "20 - 10 =", "answer": "11"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert examined(models["reference-7.6M"], str(path)).value == 0.75


def test_a_task_that_changed_after_the_plan_is_refused(
    models: dict[str, ModelFile], tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    line = json.dumps({"prompt": "20 - 10 =", "answer": "10"})
    path.write_text(f"{line}\n{line}")
    asked = check(models["reference-1.6M"], str(path))
    path.write_text(f"{line}\n{line}\n{line}")
    assert asked.exam is not None
    with pytest.raises(UsageError, match="has changed"):
        evaluate(asked, asked.exam)


def test_it_all_works_in_a_worker(models: dict[str, ModelFile]) -> None:
    exam = run_look_up(Exam("reference-fact", "", 5), 60)
    assert isinstance(exam, Exam)
    asked = dataclasses.replace(check(models["reference-1.6M"], "reference-fact"), exam=exam)
    result = run_check(asked)
    assert result.failure is None
    (score,) = result.scores
    assert (score.metric, score.n) == ("accuracy", 5)


def test_a_missing_task_comes_back_as_data() -> None:
    failure = run_look_up(Exam("/none/mine.jsonl", "", None), 60)
    assert failure.kind == "DataMissing"  # type: ignore[union-attr]
    assert "/none/mine.jsonl" in failure.message  # type: ignore[union-attr]
