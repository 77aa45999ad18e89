"""Forecasts against what was then made and measured, by the real engine in real trials."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from odllm_agent import engines
from odllm_agent.contract import (
    Candidate,
    Engine,
    Failure,
    Forecast,
    Measurement,
    ModelFile,
    ModelRequest,
    Quantization,
    RepeatPolicy,
    Source,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.models import Cache, prepare
from odllm_agent.planning.forecast import forecast
from odllm_agent.trials import worker
from tests.models import LADDER, Shape, write_gguf

PLENTY = 10**11
SHORT = Workload("short", prompt_tokens=64, output_tokens=4)
DEEP = Workload("deep", prompt_tokens=16, output_tokens=4, depth_tokens=1500)
# 79 million weights, so that they weigh more than the process.
LARGE = Shape(width=768, layers=9, ffn=3072, context_tokens=4096)


def engine(**settings: object) -> Engine:
    version = engines.versions()["llama_cpp"]
    return Engine("llama_cpp", version, check_settings("llama_cpp", {"threads": 1, **settings}))


Q4_0 = Quantization("Q4_0")


def reference(quantization: Quantization = Q4_0) -> ModelRequest:
    return ModelRequest("mine", Source.REFERENCE, "reference-7.6M", quantization)


def told(
    request: ModelRequest,
    cache: Cache,
    of: Engine | None = None,
    workload: Workload = SHORT,
) -> Forecast:
    (found,) = forecast([Candidate(request, of or engine(), workload)], cache, ("auto",), PLENTY)
    return found


def measured_bytes(model: ModelFile, of: Engine, workload: Workload) -> int:
    order = Measurement(
        Trial("here", model, of, workload), 0, RepeatPolicy(1, 1, 1), meters=("auto",)
    )
    result = worker.run_round(order)
    assert result.finished, result.failure
    return result.finished.peak_rss_bytes


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("large") / "large-F16.gguf", LARGE)


@pytest.mark.parametrize(
    ("quantization", "settings", "workload"),
    [
        (Quantization("F16"), {"threads": 2}, SHORT),
        (Quantization("Q8_0"), {}, DEEP),
        (Quantization("Q4_K_M"), {"flash_attention": "off"}, DEEP),
        (Quantization("Q4_0"), {}, SHORT),
        (Quantization("Q4_0"), {"mmap": False}, SHORT),
        (Quantization("Q4_0"), {"repack": False}, SHORT),
        (Quantization("Q2_K"), {"kv_type_k": "f32", "kv_type_v": "f32"}, DEEP),
        (
            Quantization("Q2_K"),
            {"kv_type_k": "q4_0", "kv_type_v": "q4_0", "flash_attention": "on"},
            DEEP,
        ),
    ],
)
def test_memory_is_told_within_5_percent(
    cache: Cache, quantization: Quantization, settings: dict[str, object], workload: Workload
) -> None:
    request = reference(quantization)
    found = told(request, cache, engine(**settings), workload)
    assert found.memory
    peak_bytes = measured_bytes(prepare(request, cache, PLENTY), engine(**settings), workload)
    assert found.memory.peak_bytes == pytest.approx(peak_bytes, rel=0.05)


@pytest.mark.parametrize(
    ("quantization", "settings"),
    [
        (Quantization("F16"), {}),
        (Quantization("Q4_0"), {}),
        (Quantization("Q4_0"), {"mmap": False}),
    ],
)
def test_memory_is_told_within_5_percent_where_weights_dominate(
    large: Path, cache: Cache, quantization: Quantization, settings: dict[str, object]
) -> None:
    request = ModelRequest("large", Source.FILE, str(large), quantization)
    found = told(request, cache, engine(**settings))
    assert found.memory
    weights_bytes = found.memory.mapped_bytes + found.memory.loaded_bytes
    assert weights_bytes > found.memory.baseline_bytes
    peak_bytes = measured_bytes(prepare(request, cache, PLENTY), engine(**settings), SHORT)
    assert found.memory.peak_bytes == pytest.approx(peak_bytes, rel=0.05)


def test_sizes_are_exactly_those_of_the_file_that_is_made(cache: Cache) -> None:
    requests = [ModelRequest("mine", Source.REFERENCE, "reference-1.6M", kind) for kind in LADDER]
    candidates = [Candidate(request, engine(), SHORT) for request in requests]
    forecasts = forecast(candidates, cache, (), PLENTY)
    for request, found in zip(requests, forecasts, strict=True):
        made = prepare(request, cache, PLENTY)
        assert found.model
        assert (found.model.path, found.model.sha256) == ("", "")
        assert found.model.file_bytes == made.file_bytes
        assert found.model.weight_bytes == made.weight_bytes
        assert found.model.file_bpw == made.file_bpw
        assert found.model.tensor_types == made.tensor_types
        assert found.model.quantization == made.quantization


def everything_in(folder: Path) -> Sequence[Path]:
    return sorted(folder.rglob("*"))


def test_nothing_is_made(tmp_path: Path, cache: Cache) -> None:
    shape = ModelRequest("14B", Source.SHAPE, "qwen2.5-14B", Quantization("Q4_K_M"))
    for request in (reference(), shape):
        found = told(request, cache)
        assert found.failure is None
        assert found.model
        assert found.disk_bytes == found.model.file_bytes
    assert everything_in(tmp_path) == []


def test_fourteen_billion_weights_are_told_of_in_memory_and_on_disk(cache: Cache) -> None:
    shape = ModelRequest("14B", Source.SHAPE, "qwen2.5-14B", Quantization("Q4_K_M"))
    found = told(shape, cache)
    assert found.model
    assert found.memory
    # The file that Qwen publishes at this type has 8.99 GB and 4.86 bits per weight.
    assert found.model.file_bytes == pytest.approx(8.99e9, rel=0.01)
    assert found.memory.needed_bytes > found.model.file_bytes
    assert found.memory.needed_bytes < 1.1 * found.model.file_bytes


def test_what_was_made_already_takes_no_more_room(cache: Cache) -> None:
    before = told(reference(), cache)
    prepare(reference(), cache, PLENTY)
    after = told(reference(), cache)
    assert before.disk_bytes == before.model.file_bytes if before.model else False
    assert after.disk_bytes == 0
    assert after.model == before.model


def test_a_file_that_is_taken_as_it_is_takes_no_more_room(tmp_path: Path, cache: Cache) -> None:
    tiny = write_gguf(tmp_path / "tiny.gguf")
    assert told(ModelRequest("tiny", Source.FILE, str(tiny)), cache).disk_bytes == 0


def test_what_is_asked_twice_is_found_out_once(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsals = []

    def counted(order: object) -> object:
        rehearsals.append(order)
        return run_rehearsal(order)  # type: ignore[arg-type]

    run_rehearsal = worker.run_rehearsal
    monkeypatch.setattr(worker, "run_rehearsal", counted)
    kinds = (Quantization("Q4_0"), Quantization("Q8_0"))
    candidates = [
        Candidate(reference(kind), engine(), load) for load in (SHORT, DEEP) for kind in kinds
    ]
    forecasts = forecast(candidates, cache, (), PLENTY)
    assert len(rehearsals) == 2
    contexts = [each.memory.kv_bytes for each in forecasts if each.memory]
    assert contexts[0] == contexts[1] < contexts[2] == contexts[3]


def test_memory_that_is_free_is_told_with_it(cache: Cache) -> None:
    assert told(reference(), cache).available_bytes == PLENTY


def test_a_missing_file_is_a_failure_and_no_forecast(tmp_path: Path, cache: Cache) -> None:
    found = told(ModelRequest("gone", Source.FILE, str(tmp_path / "gone.gguf")), cache)
    assert found.failure
    assert found.failure.kind == "ModelMissing"
    assert (found.model, found.memory) == (None, None)


def test_a_file_that_kills_llama_cpp_costs_its_own_process(tmp_path: Path, cache: Cache) -> None:
    path = write_gguf(tmp_path / "hostile.gguf")
    content = bytearray(path.read_bytes())
    key = b"qwen2.block_count"
    place = content.index(key) + len(key) + 4
    content[place : place + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    for quantization in (None, Quantization("Q4_0")):
        found = told(ModelRequest("hostile", Source.FILE, str(path), quantization), cache)
        assert found.failure
        assert found.memory is None


def test_what_an_engine_cannot_tell_has_its_reason(cache: Cache) -> None:
    for of, reason in (
        (Engine("openvino", "2026.4.1", {"threads": 2}), "openvino does not tell"),
        (engine(gpu_layers=5), "gpu_layers=5"),
    ):
        found = told(reference(), cache, of)
        assert reason in found.reason
        assert found.model
        assert (found.memory, found.failure) == (None, None)


def nameless_vocabulary(path: Path) -> Path:
    """A model whose header does not tell of which kind its vocabulary is."""
    content = write_gguf(path).read_bytes()
    path.write_bytes(content.replace(b"tokenizer.ggml.model", b"tokenizer.ggml.modem"))
    return path


@pytest.mark.parametrize("others", [(), (engine(),)], ids=["alone", "beside llama.cpp"])
@pytest.mark.parametrize(
    "of",
    [Engine("openvino", "2026.4.1", {"threads": 2}), engine(gpu_layers=5)],
    ids=["openvino", "a GPU"],
)
def test_what_llama_cpp_refuses_is_promised_to_nobody(
    tmp_path: Path, cache: Cache, of: Engine, others: tuple[Engine, ...]
) -> None:
    path = nameless_vocabulary(tmp_path / "nameless.gguf")
    request = ModelRequest("nameless", Source.FILE, str(path))
    candidates = [Candidate(request, each, SHORT) for each in (*others, of)]
    for found in forecast(candidates, cache, (), PLENTY):
        assert found.failure
        assert found.failure.kind == "ModelInvalid"
        assert "llama.cpp refuses" in found.failure.message
        assert "tokenizer.ggml.model" in found.failure.log


def test_what_llama_cpp_does_not_do_for_its_settings_is_not_held_against_the_file(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_context = Failure("EngineError", "llama.cpp makes no context of 68 tokens")
    monkeypatch.setattr(worker, "run_rehearsal", lambda _: no_context)
    openvino = Engine("openvino", "2026.4.1", {"threads": 2})
    candidates = [Candidate(reference(), each, SHORT) for each in (engine(), openvino)]
    refused, untold = forecast(candidates, cache, (), PLENTY)
    assert refused.failure == no_context
    assert untold.failure is None
    assert "openvino does not tell" in untold.reason
