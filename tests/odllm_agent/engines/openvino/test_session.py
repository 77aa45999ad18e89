"""The real OpenVINO beside the real llama.cpp, on small model files."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from odllm_agent import engines
from odllm_agent.contract import (
    Measurement,
    ModelFile,
    RepeatPolicy,
    Trial,
    Workload,
)
from odllm_agent.engines.base import Session
from odllm_agent.engines.openvino import session as engine
from odllm_agent.engines.openvino.gguf_to_ir import FORM
from odllm_agent.errors import EngineError, SettingError
from odllm_agent.models import read_header
from odllm_agent.texts.text import read_text
from odllm_agent.trials.worker import run_round
from tests.models import TINY, Shape, write_gguf, write_quantized
from tests.odllm_agent.engines.loading import (
    CONTEXT,
    EXACT,
    asked,
    described,
    last_logits,
    load,
    reference,
)

pytestmark = pytest.mark.usefixtures("one_cache")
PROMPT = tuple(range(40))


@pytest.fixture(params=["paged", "stateful"])
def session(model: ModelFile, request: pytest.FixtureRequest) -> Iterator[Session]:
    with load(model, attention=request.param) as opened:
        yield opened


def of_llama_cpp(model: ModelFile, tokens: list[int]) -> NDArray[np.float32]:
    exact = asked("llama_cpp", flash_attention="off", kv_type_k="f32", kv_type_v="f32")
    with engines.load(exact, model, CONTEXT) as session:
        return session.logits(tokens)


class VirtualClock:
    """A clock that only OpenVINO's own work moves, so that windows can be told to the digit."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.inferred: list[int] = []

    def __call__(self) -> int:
        return self.now_ns

    def start(self, call: Callable[..., None]) -> Callable[..., None]:
        """1 ms for each token."""

        def priced(request: openvino.InferRequest) -> None:
            n_tokens = request.get_tensor("input_ids").size
            self.inferred.append(n_tokens)
            self.now_ns += 1_000_000 * n_tokens
            call(request)

        return priced

    def wait(self, call: Callable[..., None]) -> Callable[..., None]:
        """10 ms."""

        def priced(request: openvino.InferRequest) -> None:
            call(request)
            self.now_ns += 10_000_000

        return priced

    def choose(self, call: Callable[..., int]) -> Callable[..., int]:
        """5 ms."""

        def priced(session: engine.OpenVinoSession) -> int:
            self.now_ns += 5_000_000
            return call(session)

        return priced


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    clock = VirtualClock()
    kind, request = engine.OpenVinoSession, openvino.InferRequest
    monkeypatch.setattr(request, "start_async", clock.start(request.start_async))
    monkeypatch.setattr(request, "wait", clock.wait(request.wait))
    monkeypatch.setattr(kind, "_choose", clock.choose(kind._choose))
    monkeypatch.setattr(engine, "monotonic_ns", clock)
    return clock


def test_prefill_times_every_token_of_the_prompt_and_waits_for_the_logits(
    session: Session, clock: VirtualClock
) -> None:
    assert session.prefill(PROMPT).prefill_s == pytest.approx(0.040 + 0.010)


def test_time_to_first_token_is_prefill_and_the_choice_of_a_token(
    session: Session, clock: VirtualClock
) -> None:
    assert session.prefill(PROMPT).ttft_s == pytest.approx(0.040 + 0.010 + 0.005)


def test_each_decoded_token_is_timed_alone_and_nothing_else_is(
    session: Session, clock: VirtualClock
) -> None:
    session.prefill(PROMPT)
    assert session.decode((1, 2, 3)) == pytest.approx((0.011, 0.011, 0.011))
    assert clock.inferred == [40, 1, 1, 1]


def test_what_fills_the_context_is_in_no_window(session: Session, clock: VirtualClock) -> None:
    session.fill(range(100))
    assert session.prefill(PROMPT).prefill_s == pytest.approx(0.050)


def test_kernels_are_compiled_while_loading(model: ModelFile, clock: VirtualClock) -> None:
    with load(model):
        assert clock.inferred == [32, 1, 1]


def test_kernels_that_this_processor_lacks_are_told_while_loading(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Session) -> None:
        raise RuntimeError("Exception from src/graph.cpp:1628:\nbrgemm executor Init Failure\n\n")

    monkeypatch.setattr(engine.OpenVinoSession, "_run", fail)

    with pytest.raises(EngineError, match="brgemm executor Init Failure") as caught:
        load(model, attention="paged")

    assert caught.value.remedy == "set attention to stateful"


def test_a_load_leaves_an_empty_context(model: ModelFile) -> None:
    with load(model) as session:
        session.prefill(PROMPT)
        first = last_logits(session)
        assert np.allclose(first, session.logits(PROMPT)[-1], atol=1e-3)


def test_the_first_token_is_the_likeliest(session: Session) -> None:
    session.prefill(PROMPT)
    assert session._choose() == session.logits(PROMPT)[-1].argmax()  # type: ignore[attr-defined]


def test_of_a_prompt_only_the_last_logits_are_computed(session: Session) -> None:
    session.prefill(PROMPT)
    assert session._request.get_output_tensor(0).shape == [1, 1, TINY.vocabulary]  # type: ignore[attr-defined]


def test_decoding_is_what_prefill_would_have_computed(session: Session) -> None:
    text = [5, 250, 17, 99, 3, 42]
    session.prefill(text[:2])
    session.decode(text[2:])
    last, whole = last_logits(session), session.logits(text)
    assert np.allclose(last, whole[-1], atol=1e-3)
    assert not np.allclose(last, whole[-2], atol=1e-3)


def test_depth_counts_as_context(session: Session) -> None:
    text = [5, 250, 17, 99, 3, 42]
    session.fill(text[:2])
    session.prefill(text[2:])
    deep = last_logits(session)
    assert np.allclose(deep, session.logits(text)[-1], atol=1e-3)
    assert not np.allclose(deep, session.logits(text[2:])[-1], atol=1e-3)


def test_a_reset_empties_the_context(session: Session) -> None:
    first = session.logits(PROMPT)
    session.reset()
    session.prefill(PROMPT[:9])
    assert np.array_equal(session.logits(PROMPT), first)


def test_more_tokens_than_the_context_holds_is_an_error(session: Session) -> None:
    with pytest.raises(EngineError, match="do not fit"):
        session.fill([1] * (CONTEXT + 1))
    session.fill([1] * CONTEXT)
    with pytest.raises(EngineError, match="do not fit"):
        session.decode([1])


# F16 is computed with the same weights; what is left is the order of sums and llama.cpp's f16
# activations. Of the others both engines quantize activations, each in its own groups: llama.cpp
# those of K-quants in groups of 256, so that more is left of Q6_K.
@pytest.mark.parametrize("attention", ["paged", "stateful"])
@pytest.mark.parametrize(
    ("quantization", "most_nats", "least_agreement"),
    [
        ("F16", 1e-6, 1.0),
        ("Q8_0", 1e-4, 0.99),
        ("Q6_K", 5e-4, 0.98),
        ("Q4_K_M", 5e-4, 0.98),
        ("Q4_1", 1e-4, 0.99),
        ("Q4_0", 1e-4, 0.99),
    ],
)
def test_the_reference_model_answers_as_on_llama_cpp(
    quantization: str, most_nats: float, least_agreement: float, attention: str
) -> None:
    model = reference(quantization)
    with load(model, attention=attention) as session:
        tokens = session.tokenize(read_text("reference"))[:CONTEXT]
        ours = session.logits(tokens)
    theirs = of_llama_cpp(model, tokens)
    assert divergence(theirs, ours) < most_nats
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() >= least_agreement


@pytest.mark.parametrize("attention", ["paged", "stateful"])
def test_remainders_count_in_every_row_and_product_and_in_one_token_as_in_many(
    attention: str, tmp_path: Path
) -> None:
    """Without them the divergence is above 1e-2. The embedding is of that type too, and tied."""
    plain = write_gguf(tmp_path / "plain.gguf", Shape(layers=2, architecture="llama"))
    model = described(write_quantized(plain, tmp_path / "Q4_1.gguf", "Q4_1+pure"))
    tokens = [int(token) for token in np.random.default_rng(1).integers(0, 512, 64)]
    with load(model, attention=attention) as session:
        ours = session.logits(tokens)
        session.reset()
        session.prefill(tokens[:40])
        session.decode(tokens[40:])
        last = last_logits(session)
    theirs = of_llama_cpp(model, tokens)
    assert divergence(theirs, ours) < 1e-3
    assert divergence(theirs[-1:], last[None]) < 1e-3


@pytest.mark.parametrize(
    "shape",
    [
        Shape(layers=2),
        Shape(layers=2, architecture="qwen3"),
        Shape(layers=2, architecture="llama"),
        Shape(layers=2, architecture="llama", rope_factors=True),
    ],
    ids=["qwen2", "qwen3", "llama", "llama-3"],
)
def test_late_tokens_are_where_they_are_on_llama_cpp(shape: Shape, tmp_path: Path) -> None:
    """With wrong angles the divergence of this test is above 1e-4, and 1e-2 without factors."""
    model = described(write_gguf(tmp_path / "rope.gguf", shape, seed=3))
    tokens = [int(token) for token in np.random.default_rng(1).integers(0, 512, CONTEXT)]
    with load(model) as session:
        ours = session.logits(tokens)
    assert divergence(of_llama_cpp(model, tokens), ours) < 1e-5


def divergence(p_logits: NDArray[np.float32], q_logits: NDArray[np.float32]) -> float:
    """The mean KL divergence in nats."""
    p, q = (each - np.logaddexp.reduce(each, axis=1)[:, None] for each in (p_logits, q_logits))
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def test_a_text_has_the_token_ids_of_llama_cpp() -> None:
    model = reference("F16")
    text = read_text("reference")
    odd = " leading, trailing \n\n\t<|endoftext|> 12345 'tis ÄÖ é e\u0301 \u65e5\u672c \U0001f600 "
    with load(model) as ours, engines.load(asked("llama_cpp"), model, CONTEXT) as theirs:
        for each in (text, odd, ""):
            tokens = ours.tokenize(each)
            assert tokens == theirs.tokenize(each)
            assert ours.detokenize(tokens) == each


@pytest.mark.parametrize(
    ("quantization", "expected_bpw"),
    [("F16", 16.0), ("Q8_0", 8.75), ("Q4_0", 4.625), ("Q4_K_M", 5.125)],
)
def test_runtime_bits_per_weight_are_those_of_the_converted_form(
    quantization: str, expected_bpw: float
) -> None:
    """The embedding of the mixed types is Q6_K: 9.5 bits in groups of 16."""
    model = reference(quantization)
    bits = {"Q8_0": 8.75, "Q4_0": 4.625, "Q4_K": 5.125, "Q6_K": 9.5, "F16": 16.0, "F32": 32.0}
    with load(model) as session:
        found = session.runtime_bpw
    tensors = tensors_of(model)
    vectors_in_f16 = {"F32": 16.0} if quantization == "F16" else {}
    predicted = sum(n * (bits | vectors_in_f16)[kind] for kind, n in tensors) / model.n_weights
    assert found == pytest.approx(predicted, abs=0.01)
    assert found is not None
    assert found > expected_bpw - 0.001


def tensors_of(model: ModelFile) -> list[tuple[str, int]]:
    return [(tensor.type, tensor.n_weights) for tensor in read_header(Path(model.path)).tensors]


def test_version_names_both_packages_the_build_and_what_is_put_right() -> None:
    version = engines.versions()["openvino"]
    assert openvino.get_version() in version
    assert "+genai.20" in version
    assert version.endswith(f"+form.{FORM}")


def test_a_round_comes_back_whole_and_loads_what_was_converted_before(model: ModelFile) -> None:
    workload = Workload("short", prompt_tokens=8, output_tokens=4, depth_tokens=3)
    order = Measurement(
        Trial("d", model, asked("openvino", **EXACT), workload), 0, RepeatPolicy(1, 2, 2)
    )
    result = run_round(order)
    assert result.failure is None
    assert [len(repeat.token_s) for repeat in result.repeats] == [4, 4, 4]
    assert result.loaded is not None
    assert result.loaded.runtime_bpw is not None


@pytest.mark.parametrize("attention", ["paged", "stateful"])
def test_a_model_in_openvino_s_form_runs_where_it_lies(
    attention: str, model: ModelFile, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    for file in engine._folder(model).iterdir():
        (folder / file.name).symlink_to(file)
    config = {"model_type": "qwen2", "max_position_embeddings": 1024}
    (folder / "config.json").write_text(json.dumps(config))
    found = described(folder)
    with load(found, attention=attention) as ours, load(model, attention=attention) as same:
        assert ours.runtime_bpw == pytest.approx(found.file_bpw)
        assert np.array_equal(ours.logits(PROMPT), same.logits(PROMPT))


def test_settings_of_another_engine_are_refused(model: ModelFile) -> None:
    wrong = dataclasses.replace(asked(), settings={"threads": 1, "mmap": True})
    with pytest.raises(SettingError, match="'mmap'"):
        engines.load(wrong, model, CONTEXT)


@pytest.mark.parametrize(("kept", "value_bytes"), [("f32", 4), ("u8", 1)])
def test_what_is_held_is_what_its_own_graph_holds_with_the_cache_that_was_asked_for(
    model: ModelFile, kept: str, value_bytes: int
) -> None:
    with load(model, attention="stateful", kv_cache_precision=kept) as session:
        held, cache = session.anatomy, session.kv_cache
    assert (cache.type, cache.value_bytes) == (kept, value_bytes)
    of_file = model.anatomy
    assert (held.kv_values, held.query_values) == (of_file.kv_values, of_file.query_values)
    multiplied = [sum(each.n_multiplied for each in anatomy.weights) for anatomy in (held, of_file)]
    assert multiplied[0] == multiplied[1]
    assert 8 * sum(each.n_bytes for each in held.weights) / model.n_weights == pytest.approx(
        session.runtime_bpw or 0
    )


def test_blocks_of_keys_and_values_take_their_scales_along(model: ModelFile) -> None:
    with load(model, attention="paged") as session:
        assert (session.kv_cache.type, session.kv_cache.value_bytes) == ("f32", 4)
    with load(model, attention="paged", kv_cache_precision="u8") as session:
        assert session.kv_cache.type == "u8"
        assert 1 < session.kv_cache.value_bytes < 1.5


def test_what_is_rewound_leaves_no_trace(session: Session) -> None:
    prompt = list(range(40))
    session.fill(prompt)
    expected = [session.extend([token]) for token in (50, 51)]
    assert session.rewind(len(prompt))
    assert np.allclose([session.extend([token]) for token in (50, 51)], expected, atol=1e-5)
    assert session.rewind(0)
    session.fill(prompt)
    assert np.allclose(session.extend([50]), expected[0], atol=1e-5)
