"""The families of models whose shapes are known, each as llama.cpp asks for it.

Tensors and metadata are those that llama.cpp's `src/models` loads and its converter writes. What
decides on values alone, such as the base of a rotation, has no effect on speed.
"""

from dataclasses import replace

from odllm_agent.formats.architectures.architecture import Family
from odllm_agent.formats.architectures.parts import (
    ATTENTION,
    BIASED_ATTENTION,
    EXPERT_BALANCE,
    EXPERT_BIASES,
    EXPERTS,
    FUSED_ATTENTION,
    FUSED_GATED,
    GATED,
    HEAD_NORMS,
    NORM_BEFORE_FEED_FORWARD,
    NORM_BEHIND_ATTENTION,
    NORM_BEHIND_FEED_FORWARD,
    SHORT_CONVOLUTION,
    SINKS,
    STATE_SPACE,
    WHOLE_NORMS,
)

QWEN2 = Family(
    name="qwen2",
    tokenizer="qwen2",
    begins_texts=False,
    context_tokens=32_768,
    norm_epsilon=1e-6,
    rope_base=1_000_000,
    attention=BIASED_ATTENTION,
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **GATED},
)
QWEN3 = replace(
    QWEN2,
    name="qwen3",
    context_tokens=40_960,
    attention={**ATTENTION, **HEAD_NORMS},
)
QWEN3_MOE = replace(
    QWEN3,
    name="qwen3moe",
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **EXPERTS},
)
LLAMA3_1 = Family(
    name="llama",
    tokenizer="llama-bpe",
    begins_texts=True,
    context_tokens=131_072,
    norm_epsilon=1e-5,
    rope_base=500_000,
    rope_factor=8,
    attention=ATTENTION,
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **GATED},
)
LLAMA3_2 = replace(LLAMA3_1, rope_factor=32)
# Every fourth block has no rotation; llama.cpp knows that by the name.
SMOLLM3 = replace(
    LLAMA3_1,
    name="smollm3",
    begins_texts=False,
    context_tokens=65_536,
    norm_epsilon=1e-6,
    rope_base=5_000_000,
    rope_factor=1,
)
GEMMA3 = Family(
    name="gemma3",
    tokenizer="gpt-2",
    begins_texts=True,
    context_tokens=32_768,
    norm_epsilon=1e-6,
    rope_base=1_000_000,
    attention={**ATTENTION, **HEAD_NORMS, **NORM_BEHIND_ATTENTION},
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **GATED, **NORM_BEHIND_FEED_FORWARD},
    metadata={"attention.sliding_window": 512},
)
GRANITE = Family(
    name="granite",
    tokenizer="refact",
    begins_texts=False,
    context_tokens=131_072,
    norm_epsilon=1e-5,
    rope_base=10_000_000,
    attention=ATTENTION,
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **GATED},
    metadata={
        "logit_scale": 8.0,
        "residual_scale": 0.22,
        "embedding_scale": 12.0,
        "attention.scale": 0.015625,
    },
)
# Nothing in it is rotated.
GRANITE_HYBRID = replace(
    GRANITE,
    name="granitehybrid",
    state=STATE_SPACE,
    metadata={**GRANITE.metadata, "rope.scaling.finetuned": False},
)
GPT_OSS = Family(
    name="gpt-oss",
    tokenizer="gpt-4o",
    begins_texts=False,
    context_tokens=131_072,
    norm_epsilon=1e-5,
    rope_base=150_000,
    attention={**BIASED_ATTENTION, **SINKS, **NORM_BEHIND_ATTENTION},
    feed_forward={**EXPERTS, **EXPERT_BIASES},
    metadata={
        "attention.sliding_window": 128,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": 32.0,
        "rope.scaling.original_context_length": 4096,
    },
)
LFM2 = Family(
    name="lfm2",
    tokenizer="lfm2",
    begins_texts=True,
    context_tokens=32_768,
    norm_epsilon=1e-5,
    rope_base=1_000_000,
    attention={**ATTENTION, **HEAD_NORMS},
    state=SHORT_CONVOLUTION,
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **GATED},
    output_norm="token_embd_norm.weight",
)
_SIGMOID = 2
LFM2_MOE = replace(
    LFM2,
    name="lfm2moe",
    context_tokens=128_000,
    dense=LFM2.feed_forward,
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **EXPERTS, **EXPERT_BALANCE},
    metadata={"expert_gating_func": _SIGMOID},
)
OLMO2 = Family(
    name="olmo2",
    tokenizer="dbrx",
    begins_texts=False,
    context_tokens=4_096,
    norm_epsilon=1e-6,
    rope_base=500_000,
    attention={
        **{name: sizes for name, sizes in ATTENTION.items() if name != "attn_norm.weight"},
        **WHOLE_NORMS,
        **NORM_BEHIND_ATTENTION,
    },
    feed_forward={**GATED, **NORM_BEHIND_FEED_FORWARD},
)
# Of a head, three quarters are rotated. The factors of its long rotations are left out.
PHI4 = Family(
    name="phi3",
    tokenizer="gpt-4o",
    begins_texts=False,
    context_tokens=131_072,
    norm_epsilon=1e-5,
    rope_base=10_000,
    attention=FUSED_ATTENTION,
    feed_forward={**NORM_BEFORE_FEED_FORWARD, **FUSED_GATED},
    metadata={"rope.dimension_count": 96},
)
