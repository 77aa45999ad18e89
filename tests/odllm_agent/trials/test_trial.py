"""One trial in one round, on the real llama.cpp."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent import engines, meters
from odllm_agent.contract import (
    REPEATED,
    Anatomy,
    Energy,
    Finished,
    Loaded,
    Measurement,
    Method,
    ModelFile,
    Phase,
    Repeat,
    RepeatPolicy,
    Stopped,
    Trial,
    Use,
    WeightGroup,
    Workload,
)
from odllm_agent.engines.floor import KvCache, work
from odllm_agent.engines.settings import check_settings
from odllm_agent.engines.timing import Prefill
from odllm_agent.errors import EngineError
from odllm_agent.meters.base import Unavailable, WindowLimits
from odllm_agent.trials.stopping import interval_width
from odllm_agent.trials.trial import draw_tokens, measure
from tests import support
from tests.models import write_gguf
from tests.steady import LIMITS, Steady

WORKLOAD = Workload("tiny", prompt_tokens=8, output_tokens=4, depth_tokens=3)
ANATOMY = Anatomy((WeightGroup(Use.TOKENS, "Q4_0", 100, 200),), kv_values=6, query_values=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    path = write_gguf(tmp_path_factory.mktemp("model") / "tiny-F16.gguf")
    return dataclasses.replace(support.model_file(quantization="F16"), path=str(path))


def order(model: ModelFile, policy: RepeatPolicy, earlier: tuple[float, ...] = ()) -> Measurement:
    engine = dataclasses.replace(
        support.engine(), settings=check_settings("llama_cpp", {"threads": 1})
    )
    return Measurement(Trial("d", model, engine, WORKLOAD), 0, policy, ("auto",), earlier)


def said(asked: Measurement) -> tuple[Loaded, list[Repeat], Finished]:
    words: list[Loaded | Repeat | Finished] = []
    measure(asked, words.append)
    loaded, *repeats, finished = words
    assert isinstance(loaded, Loaded)
    assert isinstance(finished, Finished)
    assert all(isinstance(each, Repeat) for each in repeats)
    return loaded, repeats, finished  # type: ignore[return-value]


def test_a_round_says_load_warm_ups_repeats_and_end_in_that_order(model: ModelFile) -> None:
    policy = RepeatPolicy(warmups=2, at_least=3, at_most=3, interval_target=1e-9)
    _, repeats, finished = said(order(model, policy))
    assert [each.warmup for each in repeats] == [True, True, False, False, False]
    assert [each.index for each in repeats] == [0, 1, 2, 3, 4]
    assert finished.stopped is Stopped.CAP


def test_every_output_token_has_its_own_time_and_the_phases_are_apart(model: ModelFile) -> None:
    _, repeats, _ = said(order(model, RepeatPolicy(0, 1, 1)))
    (repeat,) = repeats
    assert len(repeat.token_s) == WORKLOAD.output_tokens
    assert all(each > 0 for each in repeat.token_s)
    assert 0 < repeat.prefill_s < repeat.ttft_s


def test_a_round_stops_as_soon_as_the_interval_of_all_rounds_is_narrow(model: ModelFile) -> None:
    earlier = tuple(1000.0 + index / 100 for index in range(200))
    policy = RepeatPolicy(warmups=0, at_least=2, at_most=9, interval_target=0.01)
    _, repeats, finished = said(order(model, policy, earlier))
    assert len(repeats) == 2
    assert finished.stopped is Stopped.NARROW
    assert finished.interval_width is not None
    assert finished.interval_width < 0.01


def test_too_few_repeats_have_no_interval_rather_than_a_width_of_zero(model: ModelFile) -> None:
    _, _, finished = said(order(model, RepeatPolicy(0, 2, 2)))
    assert finished.interval_width is None


def test_warm_ups_do_not_count_towards_the_interval(model: ModelFile) -> None:
    policy = RepeatPolicy(warmups=6, at_least=1, at_most=1, interval_target=1e9)
    _, _, finished = said(order(model, policy))
    assert finished.interval_width is None


def test_memory_counts_at_least_the_interpreter_and_the_weights(model: ModelFile) -> None:
    _, _, finished = said(order(model, RepeatPolicy(0, 1, 1)))
    assert finished.peak_rss_bytes > 10_000_000
    if sys.platform == "linux":
        assert finished.held.mapped_bytes == pytest.approx(Path(model.path).stat().st_size, rel=0.1)
        assert 0 < (finished.held.anonymous_bytes or 0) < finished.peak_rss_bytes


def test_every_phase_has_an_energy_figure_or_the_reason_for_none(model: ModelFile) -> None:
    loaded, repeats, _ = said(order(model, RepeatPolicy(0, 1, 1)))
    energies: Sequence[Energy] = repeats[0].energy
    assert {each.phase for each in energies} == set(REPEATED)
    assert {each.phase for each in loaded.energy} == {Phase.LOAD}
    for each in (*loaded.energy, *energies):
        assert (each.energy_j is None) == (each.method is Method.UNAVAILABLE)
        assert bool(each.reason) == (each.energy_j is None)


def test_a_file_that_the_engine_refuses_says_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    model = dataclasses.replace(support.model_file(), path=str(broken))
    words: list[object] = []
    with pytest.raises(EngineError):
        measure(order(model, RepeatPolicy()), words.append)
    assert words == []


class RecordingSession:
    """A session that only writes down what it is asked."""

    folder, vocabulary, runtime_bpw, system = Path("/models"), 512, 4.5, "none"
    anatomy, kv_cache = ANATOMY, KvCache("F16", 2.0)

    def __init__(self, calls: list[tuple[str, int]]) -> None:
        self.calls = calls

    def __enter__(self) -> "RecordingSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append(("close", 0))

    def reset(self) -> None:
        self.calls.append(("reset", 0))

    def rewind(self, held: int) -> bool:
        self.calls.append(("rewind", held))
        return True

    def is_sound(self) -> bool:
        return True

    def fill(self, tokens: Sequence[int]) -> None:
        self.calls.append(("fill", len(tokens)))

    def prefill(self, tokens: Sequence[int]) -> Prefill:
        self.calls.append(("prefill", len(tokens)))
        return Prefill(0.5, 0.6)

    def decode(self, tokens: Sequence[int]) -> tuple[float, ...]:
        self.calls.append(("decode", len(tokens)))
        return (0.25,) * len(tokens)


def test_every_repeat_starts_from_an_empty_context_filled_to_its_depth(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(engines, "load", lambda *_: RecordingSession(calls))
    _, repeats, _ = said(order(model, RepeatPolicy(0, 2, 2)))
    once = [("reset", 0), ("fill", 3), ("prefill", 8), ("decode", 4)]
    assert calls == [*once, *once, ("close", 0)]
    assert [each.decode_tok_s for each in repeats] == [4.0, 4.0]
    assert [(each.prefill_s, each.ttft_s) for each in repeats] == [(0.5, 0.6)] * 2


def test_the_load_tells_what_the_windows_have_to_do(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "load", lambda *_: RecordingSession([]))
    loaded, _, _ = said(order(model, RepeatPolicy(0, 1, 1)))
    assert loaded.work == work(ANATOMY, RecordingSession.kv_cache, WORKLOAD)
    assert loaded.no_work == ""


def test_a_load_that_cannot_tell_what_there_is_to_do_says_why(model: ModelFile) -> None:
    loaded, _, _ = said(order(model, RepeatPolicy(0, 1, 1)))
    assert loaded.work == ()
    assert loaded.no_work == model.anatomy.reason


class Stubborn(RecordingSession):
    """A session that cannot go back."""

    def rewind(self, held: int) -> bool:
        return False


def test_windows_too_short_for_a_sensor_are_gone_through_again(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []
    meter = Steady(watts=20.0)
    monkeypatch.setattr(engines, "load", lambda *_: RecordingSession(calls))
    monkeypatch.setattr(meters, "open_meters", lambda _: (meter,))
    _, (repeat,), _ = said(order(model, RepeatPolicy(0, 1, 1)))
    prefill, decode = repeat.energy
    passes = [("rewind", 3), ("prefill", 8)] * (prefill.passes - 1)
    passes += [("decode", 4), *[("rewind", 11), ("decode", 4)] * (decode.passes - 1)]
    assert calls == [("reset", 0), ("fill", 3), ("prefill", 8), *passes, ("close", 0)]
    assert min(prefill.passes, decode.passes) > 1
    assert repeat.more_prefill_s == (0.5,) * (prefill.passes - 1)
    assert repeat.more_decode_s == (1.0,) * (decode.passes - 1)
    assert len(repeat.token_s) == 4
    for each in repeat.energy:
        assert each.window_s is not None
        assert each.window_s >= LIMITS.shortest_s
        assert each.energy_j == pytest.approx(20.0 * each.window_s, rel=1e-3)


def test_a_window_that_cannot_be_made_longer_says_that_it_is_too_short(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Steady(limits=WindowLimits(0.9, 100.0, 500.0))
    monkeypatch.setattr(engines, "load", lambda *_: Stubborn([]))
    monkeypatch.setattr(meters, "open_meters", lambda _: (meter,))
    _, (repeat,), _ = said(order(model, RepeatPolicy(0, 1, 1)))
    assert [each.energy_j for each in repeat.energy] == [None, None]
    assert all("too short for the sensor" in each.reason for each in repeat.energy)
    assert repeat.more_prefill_s == repeat.more_decode_s == ()


def test_a_real_model_is_metered_from_its_load_to_its_last_token(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Steady(watts=20.0, limits=WindowLimits(0.001, 100.0, 500.0, period_s=0.001))
    monkeypatch.setattr(meters, "open_meters", lambda _: (meter,))
    loaded, (repeat,), _ = said(order(model, RepeatPolicy(0, 1, 1)))
    found = (*loaded.energy, *repeat.energy)
    assert [each.phase for each in found] == [Phase.LOAD, *REPEATED]
    assert {each.method for each in found} == {Method.MEASURED}
    for each in found:
        assert each.energy_j is not None
        assert each.window_s is not None
        assert each.energy_j == pytest.approx(20.0 * each.window_s, rel=1e-3)
    assert {each.phase for each in repeat.power} == set(REPEATED)
    assert {each.phase for each in loaded.power} == {Phase.LOAD}
    for sample in (*loaded.power, *repeat.power):
        assert sample.power_w == pytest.approx(20.0, rel=1e-3)
        assert 0 <= sample.start_s < sample.end_s
    window_s = loaded.energy[0].window_s or 0.0
    assert window_s >= loaded.load_s


def test_without_a_meter_that_measures_there_is_no_trace(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Unavailable("rapl", "package", "no powercap here", "")
    monkeypatch.setattr(meters, "open_meters", lambda _: (absent,))
    loaded, (repeat,), _ = said(order(model, RepeatPolicy(0, 1, 1)))
    assert loaded.power == repeat.power == ()
    assert repeat.more_prefill_s == repeat.more_decode_s == ()


@given(
    st.integers(0, 50),
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(2, 200_000),
    st.integers(0, 2**32),
)
def test_tokens_are_as_many_as_asked_and_known_to_the_model(
    depth: int, prompt: int, output: int, vocabulary: int, seed: int
) -> None:
    workload = Workload("w", prompt, output, depth, seed)
    tokens = draw_tokens(workload, vocabulary)
    assert [len(tokens.depth), len(tokens.prompt), len(tokens.output)] == [depth, prompt, output]
    assert all(0 <= token < vocabulary for token in (*tokens.prompt, *tokens.output))
    assert draw_tokens(workload, vocabulary) == tokens


def test_interval_width_is_a_fraction_of_the_median() -> None:
    assert interval_width([90.0, 100.0, 100.0, 100.0, 100.0, 110.0]) == pytest.approx(0.2)
    assert interval_width([1.0] * 5) is None
