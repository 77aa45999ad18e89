"""Reading a text with the real llama.cpp and the reference ladder's smallest model."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent import engines
from odllm_agent.contract import (
    ModelFile,
    ModelRequest,
    QualityCheck,
    Quantization,
    Reading,
    Score,
    Source,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import UsageError
from odllm_agent.host import state
from odllm_agent.models import Cache, prepare
from odllm_agent.quality.perplexity import surprises
from odllm_agent.quality.reading import evaluate, windows
from odllm_agent.texts.text import read_text, text_sha256
from tests import support

ALL = ("perplexity", "kld", "top1_agreement", "delta_p", "delta_p_rms")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return {
        kind: prepare(
            ModelRequest("reference-1.6M", Source.REFERENCE, "reference-1.6M", Quantization(kind)),
            cache,
            2**32,
        )
        for kind in ("F16", "Q8_0", "Q2_K")
    }


def check(
    model: ModelFile,
    base: ModelFile | None = None,
    metrics: Sequence[str] = ALL,
    **changes: object,
) -> QualityCheck:
    engine = dataclasses.replace(
        support.engine(), settings=check_settings("llama_cpp", {"threads": 1})
    )
    reading = Reading("reference", text_sha256("reference"), 256, 12, tuple(metrics))
    reading = dataclasses.replace(reading, **changes)  # type: ignore[arg-type]
    return QualityCheck("d", model, engine, reading, None, base)


def read(*arguments: object, **changes: object) -> dict[str, Score]:
    asked = check(*arguments, **changes)  # type: ignore[arg-type]
    assert asked.reading is not None
    return {score.metric: score for score in evaluate(asked, asked.reading)}


def value(score: Score) -> float:
    assert score.value is not None
    return score.value


def test_fewer_bits_lie_further_from_the_unquantized_file(files: dict[str, ModelFile]) -> None:
    many, few = (read(files[kind], files["F16"]) for kind in ("Q8_0", "Q2_K"))
    assert list(many) == list(ALL)
    assert 0 < value(many["kld"]) < value(few["kld"]) / 10
    assert value(few["top1_agreement"]) < value(many["top1_agreement"]) <= 1
    assert 0 < value(many["delta_p_rms"]) < value(few["delta_p_rms"])
    assert value(many["perplexity"]) < value(few["perplexity"])
    for score in (*many.values(), *few.values()):
        assert score.n == 12 * 127
        assert score.standard_error is not None
        assert score.standard_error > 0


def test_the_scores_are_those_of_the_logits_of_the_two_files(files: dict[str, ModelFile]) -> None:
    found = read(files["Q2_K"], files["F16"], max_windows=1)
    engine = check(files["F16"]).engine
    log_p = []
    for kind in ("Q2_K", "F16"):
        with engines.load(engine, files[kind], 256) as session:
            tokens = session.tokenize(read_text("reference"))[:256]
            logits = session.logits(tokens)[128:-1].astype(np.float64)
        log_p.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    model, base = log_p
    right = np.arange(127), tokens[129:]
    kld = (np.exp(base) * (base - model)).sum(axis=1).mean()
    assert value(found["kld"]) == pytest.approx(kld, rel=1e-4)
    assert value(found["perplexity"]) == pytest.approx(math.exp(-model[right].mean()), rel=1e-5)
    change = np.exp(model[right]) - np.exp(base[right])
    assert value(found["delta_p"]) == pytest.approx(change.mean(), abs=1e-7)
    agreed = (model.argmax(axis=1) == base.argmax(axis=1)).mean()
    assert value(found["top1_agreement"]) == pytest.approx(agreed)


def test_the_unquantized_file_differs_in_nothing_from_itself(files: dict[str, ModelFile]) -> None:
    found = read(files["F16"], files["F16"], max_windows=2)
    assert value(found["kld"]) == 0
    assert value(found["top1_agreement"]) == 1
    assert value(found["perplexity"]) > 1


def test_perplexity_is_the_same_with_and_without_a_base(files: dict[str, ModelFile]) -> None:
    alone = read(files["Q8_0"], None, ("perplexity",), max_windows=3)
    beside = read(files["Q8_0"], files["F16"], max_windows=3)
    assert alone == {"perplexity": beside["perplexity"]}


def test_without_a_base_the_reason_stands_in_place_of_the_figures(
    files: dict[str, ModelFile],
) -> None:
    asked = dataclasses.replace(check(files["Q8_0"], max_windows=1), base_reason="none was kept")
    assert asked.reading is not None
    perplexity, *others = evaluate(asked, asked.reading)
    assert value(perplexity) > 1
    assert {(score.value, score.reason) for score in others} == {(None, "none was kept")}


def test_a_base_that_does_not_fit_beside_the_model_is_not_tried(
    files: dict[str, ModelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "available_bytes", lambda: 100_000_000)
    found = read(files["Q8_0"], files["F16"], max_windows=1)
    assert value(found["perplexity"]) > 1
    assert found["kld"].value is None
    assert "0.10 GB are free" in found["kld"].reason


def test_a_text_that_changed_after_the_plan_is_refused(
    files: dict[str, ModelFile], tmp_path: Path
) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("one thing")
    with pytest.raises(UsageError, match="has changed"):
        read(files["Q8_0"], text=str(path))


def reading(window_tokens: int, max_windows: int | None = None) -> Reading:
    return Reading("mine", "", window_tokens, max_windows, ())


@given(st.integers(6, 40), st.integers(0, 300), st.booleans())
def test_windows_follow_one_another_and_only_the_second_half_is_predicted(
    size: int, spare: int, start: bool
) -> None:
    tokens = list(range(1000, 1000 + size + spare))
    found = windows(tokens, reading(size), 7 if start else None)
    whole = [7, *tokens] if start else tokens
    assert len(found) == len(whole) // size
    for place, window in enumerate(found):
        part = whole[place * size : (place + 1) * size]
        assert list(window.tokens[1:]) == part[1:]
        assert window.tokens[0] == (7 if start else part[0])
        assert list(window.targets) == part[size // 2 + 1 :]
        assert len(window.targets) == size - window.first - 1


def test_no_more_windows_are_read_than_asked_for() -> None:
    assert len(windows(range(100), reading(10, 3), None)) == 3


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(UsageError, match="63 tokens"):
        windows(range(63), reading(64), None)


def test_a_start_token_is_what_the_model_is_given_first(files: dict[str, ModelFile]) -> None:
    (window, *_) = windows(range(300, 556), reading(256), 5)
    with engines.load(check(files["F16"]).engine, files["F16"], 256) as session:
        logits = session.logits(window.tokens, window.first)[:-1]
    assert len(surprises(logits, window.targets)) == 127
    assert window.tokens[0] == 5
