"""What llama.cpp is foreseen to hold, against what it says when it really loads."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Engine,
    HeldMemory,
    ModelFile,
    ModelRequest,
    Quantization,
    Source,
    Workload,
)
from odllm_agent.engines.base import ContextMemory, Weights
from odllm_agent.engines.llama_cpp.ggml import repacked_bytes
from odllm_agent.engines.llama_cpp.memory import (
    context_memory,
    rehearse_step,
    weight_memory,
    why_untold,
    with_told,
)
from odllm_agent.engines.llama_cpp.session import load
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import EngineError
from odllm_agent.formats.architectures import ARCHITECTURES, Experts
from odllm_agent.models import Cache, prepare, read_header
from tests.models import LADDER

MIB = 2**20
# What llama.cpp in llama-cpp-python 0.3.36 said of a model without weights: of the whole context,
# and of one for its largest step.
LOG = """\
print_info: n_head                = 8
print_info: n_head_kv             = 4
load_tensors:          CPU model buffer size =     0.00 MiB
llama_context: constructing llama_context
llama_context: n_ubatch              = 512
llama_context: flash_attn            = auto
llama_context:        CPU  output buffer size =     0.58 MiB
llama_kv_cache: size =    0.75 MiB (   256 cells,   3 layers,  1/1 seqs), K (f16):    0.38 MiB
resolve_fused_ops: Flash Attention enabled
sched_reserve:        CPU compute buffer size =     4.63 MiB
print_info: n_head                = 8
llama_context: constructing llama_context
llama_context: n_ubatch              = 128
llama_context: flash_attn            = auto
llama_context:        CPU  output buffer size =     0.58 MiB
llama_kv_cache: size =    0.38 MiB (   256 cells,   3 layers,  1/1 seqs), K (f16):    0.19 MiB
resolve_fused_ops: Flash Attention enabled
sched_reserve:        CPU compute buffer size =     2.63 MiB
sched_reserve: graph: nodes = 123, splits = 1, input objects = 4, input tensors = 6
"""
NAMED_BYTES = int(0.58 * MIB) + int(2.63 * MIB)
UNFUSED = LOG.replace("flash_attn            = auto", "flash_attn            = disabled")


def engine(**settings: object) -> Engine:
    return Engine("llama_cpp", "any", check_settings("llama_cpp", {"threads": 1, **settings}))


REAL_LOG = """\
load_tensors:   CPU_Mapped model buffer size =     8.04 MiB
load_tensors:   CPU_REPACK model buffer size =     2.25 MiB
load_tensors:        CUDA0 model buffer size =   100.00 MiB
llama_context:        CPU  output buffer size =     0.58 MiB
llama_kv_cache:        CPU KV buffer size =     0.75 MiB
llama_kv_cache:      CUDA0 KV buffer size =    12.00 MiB
llama_kv_cache: size =   12.75 MiB (   256 cells,   3 layers,  1/1 seqs), K (f16):    0.38 MiB
sched_reserve:        CPU compute buffer size =     4.63 MiB
"""


def weights(path: Path) -> list[Weights]:
    return [Weights(t.name, t.type, t.shape, t.n_bytes) for t in read_header(path).tensors]


def test_the_log_tells_what_a_context_takes() -> None:
    found = context_memory(f"some line before\n{LOG}some line after\n", [])
    assert found == ContextMemory(int(0.75 * MIB), NAMED_BYTES)


def test_a_cache_for_each_kind_of_layer_counts() -> None:
    line = "llama_kv_cache: size =    0.75 MiB (   256 cells"
    two = LOG.replace(line, f"llama_kv_cache: size =   12.25 MiB (  1024 cells\n{line}", 1)
    assert context_memory(two, []).kv_bytes == int(0.75 * MIB) + int(12.25 * MIB)


def test_a_state_counts_as_a_cache_and_may_be_the_only_one() -> None:
    cache = "llama_kv_cache: size =    0.75 MiB (   256 cells"
    state = "llama_memory_recurrent: size =    1.50 MiB (     1 cells"
    beside = LOG.replace(cache, f"{cache}\n{state}", 1)
    assert context_memory(beside, []).kv_bytes == int(0.75 * MIB) + int(1.5 * MIB)
    alone = LOG.replace(cache, state)
    assert context_memory(alone, []).kv_bytes == int(1.5 * MIB)


def test_what_experts_give_back_is_a_row_for_each_that_a_token_meets() -> None:
    log = LOG.replace(
        "print_info: n_head ", "print_info: n_expert_used         = 4\nprint_info: n_head ", 1
    )
    up = Weights("blk.0.ffn_up_exps.weight", "Q4_0", (256, 1024, 16), 0)
    down = Weights("blk.0.ffn_down_exps.weight", "Q4_0", (1024, 256, 16), 0)
    places = 8 * 128 * 4 * 16
    for weights, rows in ([up], 128 * 256), ([up, down], 128 * 4 * 1024):
        found = context_memory(log, weights).compute_bytes
        assert found == NAMED_BYTES + rows * 34 // 32 + places


def test_experts_are_laid_out_anew_as_llama_cpp_does(
    cache: Cache, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = ARCHITECTURES["qwen3-30B-A3B"]
    small = dataclasses.replace(
        published,
        layers=2,
        width=256,
        heads=2,
        kv_heads=1,
        vocabulary=600,
        experts=Experts(total=12, used=2, ffn=512),
    )
    monkeypatch.setitem(ARCHITECTURES, "small-experts", small)
    request = ModelRequest("experts", Source.SHAPE, "small-experts", Quantization("Q4_0"))
    file = prepare(request, cache, 10**10)
    foreseen = weight_memory(engine(), weights(Path(file.path)))
    capfd.readouterr()
    with load(engine(), file, 64):
        real = buffers(capfd.readouterr().err)
    repacked = sum(size for name, size in real.items() if name not in {"CPU", "CPU_Mapped"})
    assert foreseen.loaded_bytes == pytest.approx(repacked, abs=0.02 * MIB)


@pytest.mark.parametrize(
    ("kind", "bytes_each"), [("F16", 2), ("Q4_0", 34 / 32), ("Q4_K", 292 / 256), ("F32", 0)]
)
def test_activations_are_converted_for_the_longest_row(kind: str, bytes_each: float) -> None:
    rows = [Weights(f"blk.{n}.ffn_down.weight", kind, (n, 256), 0) for n in (1024, 4096)]
    norm = Weights("output_norm.weight", "F16", (100_000,), 0)
    found = context_memory(LOG, [*rows, norm])
    assert found.compute_bytes == NAMED_BYTES + int(128 * 4096 * bytes_each)


def test_attention_that_is_not_fused_converts_every_score() -> None:
    assert context_memory(UNFUSED, []).compute_bytes == NAMED_BYTES + 2 * 128 * 256 * 8


@given(st.integers(0, LOG.rindex(" compute buffer size = ") + 30))
def test_a_log_that_was_cut_off_is_not_half_believed(length: int) -> None:
    with pytest.raises(EngineError, match="does not tell"):
        context_memory(LOG[:length], [])


@pytest.mark.parametrize(
    ("depth", "prompt", "tokens", "cells"),
    [
        (0, 16, 16, 256),
        (0, 600, 512, 512),
        (1500, 16, 512, 1536),
        (0, 2100, 512, 2048),
    ],
)
def test_buffers_are_those_of_the_steps_that_a_workload_takes(
    cache: Cache,
    capfd: pytest.CaptureFixture[str],
    depth: int,
    prompt: int,
    tokens: int,
    cells: int,
) -> None:
    file = prepared(Quantization("Q4_0"), cache)
    workload = Workload("w", prompt, output_tokens=300, depth_tokens=depth)
    capfd.readouterr()
    with rehearse_step(engine(), file, workload):
        said = capfd.readouterr().err
    assert f"n_ubatch              = {tokens}\n" in said
    assert re.search(rf"\( *{cells} cells", said)


def test_a_worker_holds_the_buffers_that_are_neither_mapped_nor_on_a_gpu() -> None:
    found = with_told(HeldMemory(mapped_bytes=5), REAL_LOG)
    assert found == HeldMemory(
        mapped_bytes=5,
        loaded_bytes=int(2.25 * MIB),
        kv_bytes=int(0.75 * MIB),
        compute_bytes=int(0.58 * MIB) + int(4.63 * MIB),
    )


def test_a_log_that_tells_no_buffer_leaves_them_unknown_and_says_so() -> None:
    found = with_told(HeldMemory(rss_bytes=7, reason="macOS does not tell"), "no such lines")
    assert (found.rss_bytes, found.kv_bytes) == (7, None)
    assert found.reason == (
        "macOS does not tell; llama.cpp's log does not tell the sizes of its buffers"
    )


@pytest.mark.parametrize("mmap", [True, False])
def test_a_real_load_tells_its_buffers(
    cache: Cache, capfd: pytest.CaptureFixture[str], mmap: bool
) -> None:
    file = prepared(Quantization("Q4_0"), cache)
    capfd.readouterr()
    with load(engine(mmap=mmap), file, 64):
        found = with_told(HeldMemory(), capfd.readouterr().err)
    foreseen = weight_memory(engine(mmap=mmap), weights(Path(file.path)))
    assert found.loaded_bytes == pytest.approx(foreseen.loaded_bytes, abs=0.03 * MIB)
    assert found.kv_bytes
    assert found.compute_bytes
    assert found.reason == ""


def test_layers_on_a_gpu_are_not_foreseen() -> None:
    assert why_untold(engine()) == ""
    assert "gpu_layers=9" in why_untold(engine(gpu_layers=9))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


def prepared(quantization: Quantization, cache: Cache) -> ModelFile:
    request = ModelRequest("mine", Source.REFERENCE, "reference-1.6M", quantization)
    return prepare(request, cache, 10**10)


def buffers(log: str) -> dict[str, float]:
    return {
        name: float(mib) * MIB
        for name, mib in re.findall(r"load_tensors: +(\S+) model buffer size = +([\d.]+) MiB", log)
    }


@pytest.mark.parametrize("quantization", LADDER)
@pytest.mark.parametrize("settings", [{}, {"repack": False}, {"mmap": False}])
def test_weights_lie_where_llama_cpp_puts_them(
    cache: Cache,
    capfd: pytest.CaptureFixture[str],
    quantization: Quantization,
    settings: dict[str, object],
) -> None:
    file = prepared(quantization, cache)
    foreseen = weight_memory(engine(**settings), weights(Path(file.path)))
    capfd.readouterr()
    with load(engine(**settings), file, 64):
        real = buffers(capfd.readouterr().err)
    # Each layout has a buffer of its own name, such as CPU_REPACK or AMX, where there is one.
    repacked = sum(size for name, size in real.items() if name not in {"CPU", "CPU_Mapped"})
    near = 0.02 * MIB
    if settings.get("mmap", True):
        assert foreseen.loaded_bytes == pytest.approx(repacked, abs=near)
        assert foreseen.mapped_bytes == file.weight_bytes
    else:
        assert foreseen.loaded_bytes == pytest.approx(repacked + real["CPU"], abs=near)
        assert foreseen.mapped_bytes == foreseen.unread_bytes == 0


def test_output_weights_of_their_own_leave_the_embeddings_as_they_are() -> None:
    rows = [
        Weights("token_embd.weight", "Q4_0", (256, 512), 73_728),
        Weights("blk.0.ffn_up.weight", "Q4_0", (256, 1024), 147_456),
        Weights("blk.0.attn_norm.weight", "F32", (256,), 1024),
    ]
    output = Weights("output.weight", "Q4_0", (256, 512), 73_728)
    copies = [repacked_bytes(each.type, each.shape) for each in (rows[0], rows[1])]
    if None in copies:
        pytest.skip("this processor has no layout of its own for Q4_0")
    copied = sum(filter(None, copies))
    tied, untied = (weight_memory(engine(), each) for each in (rows, [*rows, output]))
    # Embeddings that are looked up and multiplied with too are there in both layouts.
    assert (tied.loaded_bytes, tied.unread_bytes) == (copied, 147_456)
    assert (untied.loaded_bytes, untied.unread_bytes) == (copied, 147_456 + 73_728)
    read = weight_memory(engine(mmap=False), rows)
    assert read.loaded_bytes == 73_728 + 1024 + copied
