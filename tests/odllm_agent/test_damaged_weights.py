"""Model files whose header is sound and whose weights are not, on the real engines."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from odllm_agent import engines
from odllm_agent.contract import (
    Engine,
    Exam,
    Measurement,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Reading,
    RepeatPolicy,
    Source,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.models import Cache, ladder, prepare, read_header
from odllm_agent.quality.examining import look_up
from odllm_agent.texts.text import text_sha256
from odllm_agent.trials import worker

NAME = "reference-1.6M"
NAN = b"\x00\x7e"
WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "one is no number": lambda whole: whole[:-2] + NAN,
    "many are no numbers": lambda whole: whole[:-400_000] + 200_000 * NAN,
    "all are zero": lambda whole: bytes(len(whole)),
}


def engine(name: str) -> Engine:
    # One thread of OpenVINO cannot do F16 where there is AMX.
    settings = check_settings(name, {"threads": 2})
    return Engine(name, engines.versions()[name], settings)


def damaged(folder: Path, how: str) -> ModelFile:
    """The smallest reference model with other weights."""
    whole = ladder.origins()[NAME].path
    content, n_bytes = whole.read_bytes(), read_header(whole).weight_bytes
    path = folder / "damaged.gguf"
    path.write_bytes(content[:-n_bytes] + WEIGHTS[how](content[-n_bytes:]))
    return prepare(ModelRequest("damaged", Source.FILE, str(path)), Cache(folder / "cache"), 10**12)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))


# As OpenVINO converts a file, a single weight that is no number becomes one.
SPOILT = [
    ("llama_cpp", "one is no number"),
    ("llama_cpp", "many are no numbers"),
    ("openvino", "many are no numbers"),
]


@pytest.mark.parametrize(
    ("name", "how"), [*SPOILT, ("llama_cpp", "all are zero"), ("openvino", "all are zero")]
)
def test_what_computes_no_numbers_is_measured_and_fails_by_name(
    tmp_path: Path, name: str, how: str
) -> None:
    model = damaged(tmp_path, how)
    trial = Trial("d", model, engine(name), Workload("w", prompt_tokens=8, output_tokens=4))
    result = worker.run_round(Measurement(trial, 0, RepeatPolicy(0, 1, 1), meters=()))
    assert len(result.repeats) == 1, "what was measured is kept"
    assert result.finished is None
    assert result.failure
    assert result.failure.kind == "ModelInvalid"
    assert f"{model.path} gives no numbers, or the same for every token, on {name}" in (
        result.failure.message
    )


@pytest.mark.parametrize(("name", "how"), SPOILT)
def test_what_computes_no_numbers_has_no_quality(tmp_path: Path, name: str, how: str) -> None:
    model, of = damaged(tmp_path, how), engine(name)
    sound = prepare(ModelRequest(NAME, Source.REFERENCE, NAME), Cache(tmp_path), 10**12)
    reading = Reading(
        "reference", text_sha256("reference"), 64, 1, ("perplexity", "kld", "top1_agreement")
    )
    exams = [look_up(Exam(task, "", 3)) for task in ("reference-arithmetic", "reference-fact")]
    checks = [
        QualityCheck("d", model, of, reading=reading),
        QualityCheck("d", model, of, reading=reading, base=sound),
        *(QualityCheck("d", model, of, exam=exam) for exam in exams),
    ]
    for check in checks:
        result = worker.run_check(check)
        assert result.failure is None
        assert [score.value for score in result.scores] == [None] * len(result.scores)
        assert all(score.reason for score in result.scores)


def test_random_weights_need_not_make_sense(tmp_path: Path) -> None:
    model = dataclasses.replace(damaged(tmp_path, "all are zero"), no_quality="random weights")
    trial = Trial("d", model, engine("llama_cpp"), Workload("w", prompt_tokens=8, output_tokens=4))
    result = worker.run_round(Measurement(trial, 0, RepeatPolicy(0, 1, 1), meters=()))
    assert result.failure is None
    assert result.finished
