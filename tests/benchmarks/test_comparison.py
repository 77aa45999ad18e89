"""Ratios and limits; both sides' speeds are given here, never measured."""

from pathlib import Path

import pytest

from benchmarks import comparison, llama_bench
from benchmarks.comparison import Comparison, Pair
from benchmarks.genai_pipeline import GenaiPipeline, parse
from benchmarks.llama_bench import DECODE, PREFILL, Answer, LlamaBench, Window
from benchmarks.peer import Speed
from benchmarks.subject import Subject
from odllm_agent.contract import Failure, Measurement, RoundResult
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.errors import EngineError
from odllm_agent.trials import worker
from tests import support


def subject(least: float = 0.97, most: float | None = None) -> Subject:
    return Subject(support.model_file(), repeats=3, least_ratio=least, most_ratio=most)


def pair(prefill: float = 1.0, decode: float = 1.0, flags: tuple[str, ...] = ()) -> Pair:
    return Pair(Speed(100.0 * prefill, 10.0 * decode), Speed(100.0, 10.0), flags)


def compared(*pairs: Pair, least: float = 0.97, most: float | None = None) -> Comparison:
    return Comparison(subject(least, most), "llama-bench", pairs)


def test_the_ratio_is_ours_by_theirs_and_its_median_is_told() -> None:
    found = compared(pair(0.9, 1.1), pair(1.0, 1.2), pair(0.5, 1.3))
    assert found.prefill_ratio().median == pytest.approx(0.9)
    assert found.decode_ratio().median == pytest.approx(1.2)


def test_a_disturbed_pair_does_not_count_but_stays() -> None:
    found = compared(pair(1.0), pair(0.1, flags=("busy",)))
    assert found.prefill_ratio().median == pytest.approx(1.0)
    assert len(found.pairs) == 2


def test_with_only_disturbed_pairs_all_of_them_count() -> None:
    assert compared(pair(0.5, flags=("busy",))).prefill_ratio().median == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ratio", "least", "most", "met"),
    [
        (0.97, 0.97, None, True),
        (0.96, 0.97, None, False),
        (1.50, 0.97, None, True),
        (1.005, 0.99, 1.01, True),
        (0.98, 0.99, 1.01, False),
        (1.02, 0.99, 1.01, False),
    ],
)
def test_limits_hold_both_ways(ratio: float, least: float, most: float | None, met: bool) -> None:
    # Powers of two keep the ratio exact.
    exact = Pair(Speed(ratio * 64, ratio * 8), Speed(64.0, 8.0))
    assert bool(compared(exact, least=least, most=most).unmet()) is not met


def test_what_is_not_met_names_model_phase_and_figure() -> None:
    (line,) = compared(pair(prefill=0.5), least=0.99, most=1.01).unmet()
    assert "prefill is 0.500" in line
    assert "0.99 to 1.01" in line
    assert support.model_file().name in line


class Sides:
    """Stands for both sides, and notes who was asked what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, commit: str = "abc1234") -> None:
        self.asked: list[object] = []
        self.failure: Failure | None = None
        self.commit = commit
        monkeypatch.setattr(worker, "run_round", self.ours)
        monkeypatch.setattr(llama_bench, "run", self.theirs)

    def ours(self, order: Measurement) -> RoundResult:
        self.asked.append("ours")
        assert order.policy.at_least == order.policy.at_most == 3
        result = support.round_result(order.trial)
        return support.failed_round(order.trial) if self.failure else result

    def theirs(
        self, tool: Path, settings: LlamaCppSettings, model: Path, window: Window, repeats: int
    ) -> Answer:
        self.asked.append(window)
        assert settings == LlamaCppSettings(threads=2)
        return Answer(window, self.commit, (1280.0, 1.0, 1280.0))

    def compare(self, pairs: int) -> tuple[Comparison, list[Pair]]:
        device = support.device()
        found = subject()
        trial = comparison.trial(found.model, device, "llama_cpp", threads=2)
        told: list[Pair] = []
        peer = LlamaBench(Path("bench"))
        return comparison.compare(found, trial, peer, pairs, told.append), told


def test_both_sides_run_in_turn_and_each_is_first_in_every_other_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sides = Sides(monkeypatch)
    sides.compare(2)
    assert sides.asked[:6] == ["ours", PREFILL, DECODE, PREFILL, DECODE, "ours"]


def test_medians_of_measured_repeats_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found, told = Sides(monkeypatch).compare(1)
    assert tuple(told) == found.pairs
    assert told[0].theirs == Speed(1280.0, 1280.0)
    assert told[0].ours.prefill_tok_s == pytest.approx(128 / 0.1)
    assert told[0].ours.decode_tok_s == pytest.approx(1 / 0.01)


def test_another_llama_cpp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="of commit fedcba9"):
        Sides(monkeypatch, commit="fedcba9").compare(1)


def test_a_failed_worker_ends_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(monkeypatch)
    sides.failure = Failure("WorkerDied", "")
    with pytest.raises(EngineError, match="the worker was killed"):
        sides.compare(1)


def test_the_first_token_is_in_what_openvino_genai_is_compared_with() -> None:
    repeat = support.repeat()
    assert LlamaBench(Path("bench")).prefill_s(repeat) == repeat.prefill_s
    assert GenaiPipeline().prefill_s(repeat) == repeat.ttft_s > repeat.prefill_s


def test_the_metrics_of_openvino_genai_are_milliseconds() -> None:
    found = parse("[[64, 2], [128, 4], [256, 8]]")
    assert found.prefill_tok_s == pytest.approx(1000)
    assert found.decode_tok_s == pytest.approx(250)


@pytest.mark.parametrize("text", ["", "[]", "[[1]]", "[[0, 1]]", "{}", "error: no model"])
def test_anything_else_is_no_metrics(text: str) -> None:
    with pytest.raises(EngineError, match="no metrics of openvino-genai"):
        parse(text)


def test_a_pipeline_that_fails_is_told_with_its_last_words() -> None:
    trial = comparison.trial(support.model_file(), support.device(), "llama_cpp", threads=2)
    with pytest.raises(EngineError, match="openvino-genai's pipeline failed"):
        GenaiPipeline().speed(trial, repeats=1)
