"""Families that come as files only: what they are told to be, and what llama.cpp makes of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from odllm_agent.contract import Engine, Workload
from odllm_agent.engines.llama_cpp.memory import rehearse
from odllm_agent.engines.settings import check_settings
from odllm_agent.formats.anatomy import anatomy
from odllm_agent.formats.architectures import (
    ARCHITECTURES,
    Architecture,
    Experts,
    Family,
    StateSpace,
)
from odllm_agent.formats.architectures.parts import (
    ATTENTION,
    EXPERTS,
    GATED,
    HEAD_NORMS,
    NORM_BEFORE_FEED_FORWARD,
    NORM_BEHIND_ATTENTION,
    NORM_BEHIND_FEED_FORWARD,
    STATE_SPACE,
    Part,
)
from odllm_agent.models.skeleton import write_skeleton
from tests import support

MIB = 2**20
CELLS = 256
BASE = ARCHITECTURES["qwen3-0.6B"]
SMALL = replace(
    BASE, layers=4, width=256, ffn=512, heads=4, kv_heads=2, vocabulary=600, own_head_width=64
)
MAMBA = StateSpace(heads=16, head=32, state=128, groups=2)
SHARED: Part = {
    "ffn_gate_shexp.weight": ("ffn", "width"),
    "ffn_up_shexp.weight": ("ffn", "width"),
    "ffn_down_shexp.weight": ("width", "ffn"),
}


@dataclass(frozen=True, slots=True)
class Gemma3n(Architecture):
    """Gemma 3n, which has tensors for all blocks together."""

    def tensor_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from Architecture.tensor_shapes(self)
        yield "altup_proj.weight", (3, self.width, self.width)
        yield "altup_unembd_proj.weight", (3, self.width, self.width)
        yield "per_layer_token_embd.weight", (self.vocabulary, 256 * self.layers)
        yield "per_layer_model_proj.weight", (256 * self.layers, self.width)
        yield "per_layer_proj_norm.weight", (256,)


@dataclass(frozen=True, slots=True)
class Case:
    """A small model of a family.

    Attributes:
        architecture: The model.
        kv_values: Keys and values that llama.cpp keeps of each token.
        borrowed: Those that blocks look at in the cache of others.
    """

    architecture: Architecture
    kv_values: int
    borrowed: int = 0


def family(name: str, attention: Part, feed_forward: Part, **others: object) -> Family:
    return replace(BASE.family, name=name, attention=attention, feed_forward=feed_forward, **others)  # type: ignore[arg-type]


# Every block but the last keeps a state by the gated delta rule; queries have a gate beside them.
DELTA = replace(
    SMALL,
    family=family(
        "qwen3next",
        {
            **ATTENTION,
            **HEAD_NORMS,
            **NORM_BEHIND_ATTENTION,
            "attn_q.weight": (2 * 4 * 64, "width"),
        },
        {**EXPERTS, **SHARED, "ffn_gate_inp_shexp.weight": ("width",)},
        state={
            "attn_norm.weight": ("width",),
            **NORM_BEHIND_ATTENTION,
            "attn_qkv.weight": ("convolved", "width"),
            "attn_gate.weight": ("inner", "width"),
            "ssm_conv1d.weight": ("convolved", "ssm_kernel"),
            "ssm_dt.bias": ("ssm_heads",),
            "ssm_a": ("ssm_heads",),
            "ssm_ba.weight": (8, "width"),
            "ssm_norm.weight": (128,),
            "ssm_out.weight": ("width", "inner"),
        },
        metadata={"expert_shared_feed_forward_length": 256},
    ),
    ffn=256,
    experts=Experts(total=6, used=2, ffn=256),
    state_space=StateSpace(heads=4, head=128, state=128, groups=2),
    attention_blocks=(3,),
    metadata={"attention.head_count_kv": 2},
)
LATENT = replace(
    SMALL,
    family=family(
        "deepseek2",
        {
            "attn_norm.weight": ("width",),
            "attn_kv_a_norm.weight": (128,),
            "attn_q_a_norm.weight": (128,),
            "attn_q_a.weight": (128, "width"),
            "attn_q_b.weight": (4 * 96, 128),
            "attn_kv_a_mqa.weight": (128 + 32, "width"),
            "attn_k_b.weight": ("heads", 128, "head"),
            "attn_v_b.weight": ("heads", "head", 128),
            "attn_output.weight": ("width", "queries"),
        },
        {**NORM_BEFORE_FEED_FORWARD, **EXPERTS, **SHARED},
        dense={**NORM_BEFORE_FEED_FORWARD, **GATED},
        metadata={
            "attention.q_lora_rank": 128,
            "attention.kv_lora_rank": 128,
            "attention.key_length": 160,
            "attention.value_length": 128,
            "attention.key_length_mla": 96,
            "attention.value_length_mla": 64,
            "rope.dimension_count": 32,
            "expert_shared_count": 1,
        },
    ),
    ffn=256,
    kv_heads=1,
    experts=Experts(total=6, used=2, ffn=256, dense_blocks=1),
)
BORROWING = Gemma3n(
    family=family(
        "gemma3n",
        {**ATTENTION, **HEAD_NORMS, **NORM_BEHIND_ATTENTION},
        {
            **NORM_BEFORE_FEED_FORWARD,
            **GATED,
            **NORM_BEHIND_FEED_FORWARD,
            "inp_gate.weight": (256, "width"),
            "proj.weight": ("width", 256),
            "post_norm.weight": ("width",),
            "altup_correct_coef.weight": (4, 4),
            "altup_correct_scale.weight": ("width",),
            "altup_predict_coef.weight": (16, 4),
            "altup_router.weight": (4, "width"),
            "altup_router_norm.weight": ("width",),
            "laurel_l.weight": (64, "width"),
            "laurel_r.weight": ("width", 64),
            "laurel_post_norm.weight": ("width",),
        },
        metadata={"attention.sliding_window": 16, "embedding_length_per_layer_input": 256},
    ),
    layers=25,
    width=256,
    ffn=512,
    heads=4,
    kv_heads=2,
    vocabulary=600,
    tied=True,
    own_head_width=64,
)
CASES = {
    "mamba2": Case(
        replace(
            SMALL,
            family=family("mamba2", {}, {}, state=STATE_SPACE),
            state_space=MAMBA,
            attention_blocks=(),
        ),
        kv_values=0,
    ),
    "falcon-h1": Case(
        replace(
            SMALL,
            family=family(
                "falcon-h1",
                {**STATE_SPACE, **ATTENTION},
                {"ffn_norm": ("width",), **GATED},
            ),
            state_space=MAMBA,
        ),
        kv_values=4 * 2 * 2 * 64,
    ),
    "qwen3next": Case(DELTA, kv_values=2 * 2 * 64),
    "deepseek2": Case(LATENT, kv_values=4 * (128 + 32)),
    "gemma3n": Case(BORROWING, kv_values=20 * 2 * 2 * 64, borrowed=5 * 2 * 2 * 64),
}


def engine() -> Engine:
    return Engine("llama_cpp", "any", check_settings("llama_cpp", {"threads": 1}))


def told_mib(log: str, what: str) -> float:
    found = re.findall(what + r": size = +([\d.]+) MiB", log)
    return sum(map(float, found))


@pytest.mark.parametrize("name", CASES)
def test_what_a_file_keeps_of_a_token_is_what_llama_cpp_keeps(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    header = write_skeleton(tmp_path / "skeleton.gguf", name, case.architecture)
    found = anatomy(header.tensors, header.hyperparameters)
    assert found.reason == ""
    assert found.kv_values == case.kv_values + case.borrowed
    model = replace(support.model_file(), path=str(header.path))
    capfd.readouterr()
    with rehearse(engine(), model, Workload("w", CELLS - 1, 1)):
        log = capfd.readouterr().err
    kv_mib = told_mib(log, "llama_kv_cache")
    assert kv_mib == pytest.approx(2 * case.kv_values * CELLS / MIB, abs=0.01)
    state_mib = told_mib(log, "llama_memory_recurrent")
    assert found.state_bytes / MIB == pytest.approx(state_mib, abs=0.005)
