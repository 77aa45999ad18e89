"""Rehearsals in real processes: what they find, and what they leave out."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from odllm_agent import engines, models
from odllm_agent.contract import (
    Engine,
    Failure,
    ModelFile,
    ModelRequest,
    Quantization,
    Rehearsal,
    Rehearsed,
    Source,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.trials import worker
from tests.models import Shape, write_gguf

WORKLOAD = Workload("short", prompt_tokens=32, output_tokens=4)


def engine(**settings: object) -> Engine:
    return Engine("llama_cpp", "any", check_settings("llama_cpp", {"threads": 1, **settings}))


def foreseen(folder: Path, request: ModelRequest) -> ModelFile:
    found = models.foresee(request, models.Cache(folder / "cache"), folder)
    assert found.header is not None
    return dataclasses.replace(found.model, path=str(found.header.path))


def rehearsed(
    model: ModelFile, of: Engine | None = None, workload: Workload = WORKLOAD
) -> Rehearsed:
    found = worker.run_rehearsal(Rehearsal(model, of or engine(), workload, ("auto",)))
    assert isinstance(found, Rehearsed), found
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> ModelFile:
    path = write_gguf(tmp_path / "tiny.gguf")
    return foreseen(tmp_path, ModelRequest("tiny", Source.FILE, str(path)))


def test_weights_are_not_loaded(tmp_path: Path, tiny: ModelFile) -> None:
    path = write_gguf(tmp_path / "larger.gguf", Shape(width=512, layers=4, ffn=2048))
    larger = foreseen(tmp_path, ModelRequest("larger", Source.FILE, str(path)))
    more_bytes = larger.weight_bytes - tiny.weight_bytes
    assert more_bytes > 30_000_000
    grown_bytes = rehearsed(larger).baseline_bytes - rehearsed(tiny).baseline_bytes
    assert abs(grown_bytes) < 0.1 * more_bytes


def test_a_vocabulary_counts_to_the_process(tmp_path: Path, tiny: ModelFile) -> None:
    # That of Qwen2.5 has 151,936 tokens and 151,387 merges; each of them is a string in memory.
    request = ModelRequest("qwen", Source.SHAPE, "qwen2.5-0.5B", Quantization("F16"))
    qwen = foreseen(tmp_path, request)
    assert rehearsed(qwen).baseline_bytes > rehearsed(tiny).baseline_bytes + 10_000_000


def test_the_kv_cache_grows_with_the_context_and_shrinks_with_its_type(tiny: ModelFile) -> None:
    teller = engines.memory("llama_cpp")

    def kv_bytes(depth_tokens: int, kind: str) -> int:
        workload = dataclasses.replace(WORKLOAD, depth_tokens=depth_tokens)
        of = engine(kv_type_k=kind, kv_type_v=kind, flash_attention="on")
        return teller.context_memory(rehearsed(tiny, of, workload).log, []).kv_bytes

    short, deep, small = kv_bytes(0, "f16"), kv_bytes(768, "f16"), kv_bytes(768, "q8_0")
    # 2 tensors of 128 values for each token; a context is rounded up to multiples of 256.
    assert short == pytest.approx(2 * 128 * 2 * 256, rel=0.1)
    assert deep == pytest.approx(4 * short, rel=0.1)
    assert small == pytest.approx(deep * 8.5 / 16, rel=0.1)


def test_a_prompt_touches_no_more_than_its_own_part_of_the_buffers(tiny: ModelFile) -> None:
    teller = engines.memory("llama_cpp")

    def compute_bytes(prompt_tokens: int) -> int:
        workload = Workload("w", prompt_tokens, 4)
        return teller.context_memory(rehearsed(tiny, workload=workload).log, []).compute_bytes

    assert compute_bytes(16) < compute_bytes(512) / 4


def test_a_model_that_the_engine_refuses_comes_back_as_data(tiny: ModelFile) -> None:
    gone = dataclasses.replace(tiny, path="/none.gguf")
    found = worker.run_rehearsal(Rehearsal(gone, engine(), WORKLOAD))
    assert isinstance(found, Failure)
    assert found.kind == "ModelInvalid"
    assert "/none.gguf" in found.message


def test_a_rehearsal_loads_what_a_trial_loads_and_little_else() -> None:
    code = "import sys, odllm_agent.trials.worker, odllm_agent.trials.trial;"
    code += "import odllm_agent.engines.llama_cpp.session;"
    code += "before = set(sys.modules);"
    code += "import odllm_agent.trials.dry_run, odllm_agent.engines.llama_cpp.memory;"
    code += "print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        "odllm_agent.trials.dry_run",
        "odllm_agent.engines.llama_cpp.memory",
    }
