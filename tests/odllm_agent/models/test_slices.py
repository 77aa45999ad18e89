"""A slice of each family, run by llama.cpp, and what it is told to be against llama.cpp's words."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from odllm_agent import engines
from odllm_agent.contract import (
    Engine,
    Measurement,
    ModelFile,
    ModelRequest,
    Phase,
    Quantization,
    RepeatPolicy,
    Source,
    Trial,
    Workload,
)
from odllm_agent.engines.llama_cpp.memory import rehearse
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.engines.llama_cpp.session import LlamaCppSession, load
from odllm_agent.engines.settings import check_settings
from odllm_agent.formats.anatomy import anatomy
from odllm_agent.formats.architectures import ARCHITECTURES, Architecture, Experts, StateSpace
from odllm_agent.formats.header import aligned
from odllm_agent.models import Cache, prepare
from odllm_agent.models.skeleton import write_skeleton
from odllm_agent.trials import worker
from tests import support

PLENTY = 10**12
MIB = 2**20
CELLS = 512
WINDOW = 64
# A window's cache has room for a ubatch besides, and is a multiple of 256 tokens.
UBATCH = 512
PUBLISHED = tuple(ARCHITECTURES)
# One of each family.
NAMES = (
    "qwen3-0.6B",
    "qwen3-30B-A3B",
    "gemma-3-270M",
    "gemma-3-4B",
    "smollm3-3B",
    "granite-3.3-2B",
    "granite-4.0-h-micro",
    "gpt-oss-20B",
    "lfm2-350M",
    "lfm2-8B-A1B",
    "olmo-2-1B",
    "phi-4-mini",
)

Q4_K_M = Quantization("Q4_K_M")


def slice_of(architecture: Architecture) -> Architecture:
    """A few small blocks of an architecture, with all that is peculiar to it."""
    stated, experts = architecture.pairs(), architecture.experts
    own = {
        "attention.sliding_window": WINDOW,
        "rope.dimension_count": 48 if architecture.family.name == "phi3" else 64,
    }
    return replace(
        architecture,
        # Gemma's sixth block is its first without a window.
        layers=6,
        width=256,
        ffn=512,
        heads=4,
        kv_heads=2,
        vocabulary=600,
        own_head_width=64 if architecture.own_head_width else None,
        experts=experts and Experts(6, 2, 256, dense_blocks=min(experts.dense_blocks, 1)),
        state_space=architecture.state_space and StateSpace(heads=8, head=64, state=64),
        attention_blocks=architecture.attention_blocks and (2, 4),
        metadata={
            **architecture.metadata,
            **{key: value for key, value in own.items() if key in stated},
        },
    )


@pytest.fixture(scope="module")
def sliced(tmp_path_factory: pytest.TempPathFactory) -> "Sliced":
    return Sliced(Cache(tmp_path_factory.mktemp("slices") / "cache"))


class Sliced:
    """Makes slices, each once."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def __call__(self, name: str, quantization: Quantization = Q4_K_M) -> ModelFile:
        request = ModelRequest(f"slice of {name}", Source.SHAPE, f"slice-{name}", quantization)
        return prepare(request, self._cache, PLENTY)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setitem(ARCHITECTURES, f"slice-{name}", slice_of(ARCHITECTURES[name]))


def engine(**settings: object) -> Engine:
    version = engines.versions()["llama_cpp"]
    return Engine("llama_cpp", version, check_settings("llama_cpp", {"threads": 1, **settings}))


def told_mib(log: str, what: str) -> list[tuple[float, ...]]:
    """The numbers of every line that ends so: the size of a cache in MiB, and its tokens."""
    found = re.findall(what + r": size = +([\d.]+) MiB \( *(\d+) cells", log)
    return [tuple(map(float, each)) for each in found]


@pytest.mark.parametrize("name", NAMES)
def test_llama_cpp_runs_every_family_and_tells_tokens_apart(sliced: Sliced, name: str) -> None:
    for quantization in (Quantization("F16"), Quantization("Q4_K_M")):
        with load(engine(), sliced(name, quantization), 64) as session:
            logits = session.logits([1, 2, 3, 4])
            assert session.is_sound()
            assert min(session.decode([5, 6])) > 0
        assert np.isfinite(logits).all()
        for one, other in pairwise(logits):
            assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_what_it_is_told_to_be_is_what_llama_cpp_holds(
    sliced: Sliced, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = sliced(name)
    capfd.readouterr()
    with load(engine(), model, CELLS) as session:
        log = capfd.readouterr().err
        assert native.llama_model_size(model_of(session)) == model.weight_bytes
        assert native.llama_model_n_params(model_of(session)) == model.n_weights
        assert native.llama_model_n_swa(model_of(session)) == max(
            (each.tokens for each in model.anatomy.windows), default=0
        )
    found = model.anatomy
    assert found.reason == ""
    caches = told_mib(log, "llama_kv_cache")
    assert all(cells == CELLS for _, cells in caches)
    assert sum(size for size, _ in caches) * MIB == 2 * found.kv_values * CELLS
    state_mib = sum(size for size, _ in told_mib(log, "llama_memory_recurrent"))
    # It tells of hundredths of a MiB.
    assert found.state_bytes / MIB == pytest.approx(state_mib, abs=0.005)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_architecture_has_a_cache_as_large_as_llama_cpp_makes_it(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # A whole vocabulary takes time to write, and has no part in a cache.
    architecture = replace(ARCHITECTURES[name], vocabulary=600)
    header = write_skeleton(tmp_path / "skeleton.gguf", name, architecture)
    model = replace(support.model_file(), path=str(header.path))
    found = anatomy(header.tensors, header.hyperparameters)
    capfd.readouterr()
    with rehearse(engine(), model, Workload("w", 4000, 96)):
        log = capfd.readouterr().err
    kept = [
        min(4096, aligned(each.tokens + UBATCH, 256)) * each.kv_values
        for each in found.looks_back()
    ]
    caches = told_mib(log, "llama_kv_cache")
    assert sum(size for size, _ in caches) * MIB == pytest.approx(2 * sum(kept), rel=0.005)
    state_mib = sum(size for size, _ in told_mib(log, "llama_memory_recurrent"))
    assert found.state_bytes / MIB == pytest.approx(state_mib, abs=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_all_weights_are_in_the_one_group_or_the_other(sliced: Sliced, name: str) -> None:
    model = sliced(name)
    architecture = ARCHITECTURES[f"slice-{name}"]
    looked_up = 0 if architecture.tied else architecture.vocabulary - 1
    total = sum(each.n_bytes for each in model.anatomy.weights)
    row = next((each.n_bytes for each in model.anatomy.weights if each.use == "lookup"), 0)
    assert total + looked_up * row == model.weight_bytes


def test_a_mixture_of_experts_is_measured_in_a_trial_with_the_bytes_that_it_reads(
    sliced: Sliced,
) -> None:
    model = sliced("qwen3-30B-A3B", Quantization("Q4_0"))
    workload = Workload("w", prompt_tokens=16, output_tokens=4)
    trial = Trial("here", model, engine(), workload)
    result = worker.run_round(Measurement(trial, 0, RepeatPolicy(1, 1, 1), meters=("auto",)))
    assert result.finished, result.failure
    assert result.loaded
    assert result.loaded.no_work == ""
    read = {each.type: each.read_bytes for each in result.loaded.work if each.phase is Phase.DECODE}
    width, ffn, layers = 256, 256, 6
    q4_0 = 18 / 32
    attention = layers * (width * 256 + 2 * width * 128 + 256 * width)
    # Two of six experts, of three matrices each.
    experts = layers * 2 * 3 * width * ffn
    assert read["Q4_0"] == pytest.approx((attention + experts + width) * q4_0)
    router, norms = 6 * width, 2 * width + 2 * 64
    assert read["F32"] == 4 * (layers * (router + norms) + width)
    # A mean of 16 + 5 / 2 tokens, keys and values of two heads of 64 in every block.
    assert read["F16"] == 2 * 18.5 * layers * 2 * 2 * 64


@pytest.mark.parametrize("name", ["gemma-3-270M", "gpt-oss-20B", "lfm2-350M"])
def test_a_context_that_was_rewound_answers_as_a_new_one(sliced: Sliced, name: str) -> None:
    tokens = [place % 600 for place in range(3, 403)]
    with load(engine(), sliced(name, Quantization("F16")), 1500) as session:
        expected = session.logits(tokens, first=len(tokens) - 1)[0].copy()
        session.fill(tokens[:200])
        if session.rewind(len(tokens)):
            assert session.extend([7]) != pytest.approx(expected, abs=0.1)
            assert session.rewind(len(tokens) - 1)
            # One token alone is summed up in another order than in a prompt.
            assert session.extend(tokens[-1:]) == pytest.approx(expected, abs=0.01)
        else:
            assert name == "lfm2-350M"


def test_what_a_window_no_longer_holds_cannot_be_rewound_to(sliced: Sliced) -> None:
    tokens = [place % 600 for place in range(3, 1403)]
    with load(engine(), sliced("gemma-3-270M", Quantization("F16")), 1500) as session:
        session.fill(tokens)
        assert not session.rewind(WINDOW)
        # All is as it was.
        assert session.rewind(len(tokens) - 1)


def model_of(session: LlamaCppSession) -> int:
    """llama.cpp's own handle."""
    return session._model
