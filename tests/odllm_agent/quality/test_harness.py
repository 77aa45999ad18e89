"""The real lm-eval, on tasks of its own format over local JSON; nothing is fetched."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from odllm_agent import engines
from odllm_agent.contract import Exam, ModelRequest, Score, Source
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.models import Cache, ladder, prepare
from odllm_agent.quality import harness
from odllm_agent.quality.examining import accuracy, look_up
from odllm_agent.quality.questions import read_questions
from odllm_agent.quality.speaker import Speaker
from odllm_agent.trials.worker import run_look_up
from tests import support

NAME = "reference-7.6M"
LIMIT = 30
CHOICES = """
task: my_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
doc_to_choice: "{{{{choices}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
ANSWERS = """
task: my_answers
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6, do_sample: {sample}}}
filter_list:
  - name: stripped
    filter: [{{function: remove_whitespace}}, {{function: take_first}}]
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
TEXTS = """
task: my_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{prompt}}}}"
metric_list:
  - {{metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}}
"""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    # For the processes that a test starts.
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    request = ModelRequest(NAME, Source.REFERENCE, NAME)
    model = prepare(request, Cache(tmp_path_factory.mktemp("cache")), 2**32)
    settings = check_settings("llama_cpp", {"threads": 1})
    engine = dataclasses.replace(support.engine(), settings=settings)
    with engines.load(engine, model, 512) as session:
        yield Speaker(session, 512)


def written(folder: Path, form: str, kind: str = "arithmetic", **fields: str) -> str:
    """The path of an lm-eval task over the reference ladder's questions of one kind."""
    lines = (ladder.folder() / "questions.jsonl").read_text().splitlines()
    data = folder / "questions.jsonl"
    data.write_text("\n".join(line for line in lines if json.loads(line)["kind"] == kind))
    path = folder / "mine.yaml"
    path.write_text(form.format(data=data, **fields))
    return str(path)


def asked(task: str, speaker: Speaker, limit: int = LIMIT) -> dict[str, Score]:
    exam = Exam(task, "", limit)
    return {score.metric: score for score in harness.evaluate(harness.load(exam), exam, speaker)}


@pytest.mark.parametrize("kind", ["arithmetic", "story"])
def test_lm_eval_and_our_own_tasks_score_the_same_questions_alike(
    tmp_path: Path, speaker: Speaker, kind: str
) -> None:
    theirs = asked(written(tmp_path, CHOICES, kind), speaker)["accuracy"]
    ours = accuracy(speaker, read_questions(f"reference-{kind}")[:LIMIT])
    assert (theirs.value, theirs.n) == (ours.value, ours.n)
    assert theirs.standard_error == pytest.approx(ours.standard_error)


def test_answers_are_generated_for_lm_eval(tmp_path: Path, speaker: Speaker) -> None:
    scores = asked(written(tmp_path, ANSWERS, sample="false"), speaker)
    right = [
        speaker.answer(each.prompt, ["\n"], 6).strip() == each.choices[each.right]  # type: ignore[union-attr]
        for each in read_questions("reference-arithmetic")[:LIMIT]
    ]
    assert 0 < sum(right) < LIMIT
    assert scores["accuracy"].value == pytest.approx(sum(right) / LIMIT)
    assert scores["exact_match,stripped"].value == scores["accuracy"].value
    assert scores["accuracy"].n == LIMIT


def test_whole_texts_are_read_for_lm_eval(tmp_path: Path, speaker: Speaker) -> None:
    scores = asked(written(tmp_path, TEXTS, "story"), speaker, limit=4)
    perplexity = scores["word_perplexity,none"].value
    assert perplexity is not None
    assert 1 < perplexity < 1000
    assert scores["accuracy"].value is None
    assert "word_perplexity" in scores["accuracy"].reason


def test_answers_at_random_are_refused(tmp_path: Path, speaker: Speaker) -> None:
    with pytest.raises(UsageError, match="at random"):
        asked(written(tmp_path, ANSWERS, sample="true"), speaker)


def test_the_checksum_follows_the_questions(tmp_path: Path) -> None:
    sums: list[str] = []
    for kind in ("fact", "story", "fact"):
        folder = tmp_path / f"{kind}-{len(sums)}"
        folder.mkdir()
        sums.append(look_up(Exam(written(folder, CHOICES, kind), "", None)).sha256)
    assert sums[0] != sums[1]
    assert sums[0] == sums[2]


def test_a_task_without_its_data_is_told_with_the_remedy() -> None:
    failure = run_look_up(Exam("gsm8k", "", 2), 120)
    assert failure.kind == "DataMissing"  # type: ignore[union-attr]
    assert "gsm8k" in failure.message  # type: ignore[union-attr]
    assert "HF_ENDPOINT" in failure.remedy  # type: ignore[union-attr]


def test_code_of_a_model_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError) as caught:
        harness.load(Exam("humaneval", "", 2))
    assert "runs code that the model writes" in caught.value.message
    assert "quality.allow_code_execution=[humaneval]" in caught.value.remedy
    assert "HF_ALLOW_CODE_EVAL" not in os.environ


def test_leave_to_run_code_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "0")
    with pytest.raises(DataMissing, match="humaneval cannot be loaded"):
        harness.load(Exam("humaneval", "", 2, allow_code=True))
    assert os.environ["HF_ALLOW_CODE_EVAL"] == "1"


@pytest.mark.parametrize("task", ["gsm8k", "hellaswag", "mmlu", "humaneval", "truthfulqa_mc1"])
def test_the_tasks_of_the_study_are_known_to_lm_eval(task: str) -> None:
    assert task in harness._manager(task).task_index
