"""The sizes of published models.

Those of Qwen2.5 and Llama are those of `config.json` in the repositories Qwen/Qwen2.5-*-Instruct
and meta-llama/Llama-3.*-Instruct on Hugging Face. Where the others were read stands in
`conf/model/shape-*.yaml`.
"""

from collections.abc import Mapping

from odllm_agent.formats.architectures.architecture import (
    Architecture,
    Experts,
    StateSpace,
    Value,
)
from odllm_agent.formats.architectures.families import (
    GEMMA3,
    GPT_OSS,
    GRANITE,
    GRANITE_HYBRID,
    LFM2,
    LFM2_MOE,
    LLAMA3_1,
    LLAMA3_2,
    OLMO2,
    PHI4,
    QWEN2,
    QWEN3,
    QWEN3_MOE,
    SMOLLM3,
)

_LFM2_ATTENTION = (2, 5, 8, 10, 12, 14)
_LFM2_MOE_ATTENTION = (2, 6, 10, 14, 18, 21)

# Gemma 3 from 4B on.
_WIDE_WINDOW: Mapping[str, Value] = {
    "context_length": 131_072,
    "attention.sliding_window": 1024,
    "rope.scaling.type": "linear",
    "rope.scaling.factor": 8.0,
}

#                    family  layers width  ffn heads kv vocabulary tied
ARCHITECTURES: Mapping[str, Architecture] = {
    "qwen2.5-0.5B": Architecture(QWEN2, 24, 896, 4_864, 14, 2, 151_936, tied=True),
    "qwen2.5-1.5B": Architecture(QWEN2, 28, 1_536, 8_960, 12, 2, 151_936, tied=True),
    "qwen2.5-3B": Architecture(QWEN2, 36, 2_048, 11_008, 16, 2, 151_936, tied=True),
    "qwen2.5-7B": Architecture(QWEN2, 28, 3_584, 18_944, 28, 4, 152_064, tied=False),
    "qwen2.5-14B": Architecture(QWEN2, 48, 5_120, 13_824, 40, 8, 152_064, tied=False),
    "llama-3.2-1B": Architecture(LLAMA3_2, 16, 2_048, 8_192, 32, 8, 128_256, tied=True),
    "llama-3.2-3B": Architecture(LLAMA3_2, 28, 3_072, 8_192, 24, 8, 128_256, tied=True),
    "llama-3.1-8B": Architecture(LLAMA3_1, 32, 4_096, 14_336, 32, 8, 128_256, tied=False),
    "qwen3-0.6B": Architecture(
        QWEN3, 28, 1_024, 3_072, 16, 8, 151_936, tied=True, own_head_width=128
    ),
    "qwen3-1.7B": Architecture(
        QWEN3, 28, 2_048, 6_144, 16, 8, 151_936, tied=True, own_head_width=128
    ),
    "qwen3-4B": Architecture(
        QWEN3, 36, 2_560, 9_728, 32, 8, 151_936, tied=True, own_head_width=128
    ),
    "qwen3-8B": Architecture(
        QWEN3, 36, 4_096, 12_288, 32, 8, 151_936, tied=False, own_head_width=128
    ),
    "qwen3-14B": Architecture(
        QWEN3, 40, 5_120, 17_408, 40, 8, 151_936, tied=False, own_head_width=128
    ),
    "qwen3-30B-A3B": Architecture(
        QWEN3_MOE,
        48,
        2_048,
        6_144,
        32,
        4,
        151_936,
        tied=False,
        own_head_width=128,
        experts=Experts(total=128, used=8, ffn=768),
    ),
    "gemma-3-270M": Architecture(
        GEMMA3, 18, 640, 2_048, 4, 1, 262_144, tied=True, own_head_width=256
    ),
    "gemma-3-1B": Architecture(
        GEMMA3, 26, 1_152, 6_912, 4, 1, 262_144, tied=True, own_head_width=256
    ),
    "gemma-3-4B": Architecture(
        GEMMA3,
        34,
        2_560,
        10_240,
        8,
        4,
        262_144,
        tied=True,
        own_head_width=256,
        metadata=_WIDE_WINDOW,
    ),
    "smollm3-3B": Architecture(SMOLLM3, 36, 2_048, 11_008, 16, 4, 128_256, tied=True),
    "granite-3.3-2B": Architecture(GRANITE, 40, 2_048, 8_192, 32, 8, 49_155, tied=True),
    "granite-3.3-8B": Architecture(GRANITE, 40, 4_096, 12_800, 32, 8, 49_155, tied=True),
    "granite-4.0-1B": Architecture(GRANITE, 40, 2_048, 4_096, 16, 4, 100_352, tied=True),
    "granite-4.0-micro": Architecture(GRANITE, 40, 2_560, 8_192, 40, 8, 100_352, tied=True),
    "granite-4.0-h-micro": Architecture(
        GRANITE_HYBRID,
        40,
        2_048,
        8_192,
        32,
        8,
        100_352,
        tied=True,
        state_space=StateSpace(heads=64, head=64, state=128),
        attention_blocks=(5, 15, 25, 35),
    ),
    "gpt-oss-20B": Architecture(
        GPT_OSS,
        24,
        2_880,
        2_880,
        64,
        8,
        201_088,
        tied=False,
        own_head_width=64,
        experts=Experts(total=32, used=4, ffn=2_880),
    ),
    "lfm2-350M": Architecture(
        LFM2,
        16,
        1_024,
        4_608,
        16,
        8,
        65_536,
        tied=True,
        kernel=3,
        attention_blocks=_LFM2_ATTENTION,
    ),
    "lfm2-700M": Architecture(
        LFM2,
        16,
        1_536,
        6_912,
        24,
        8,
        65_536,
        tied=True,
        kernel=3,
        attention_blocks=_LFM2_ATTENTION,
    ),
    "lfm2-1.2B": Architecture(
        LFM2,
        16,
        2_048,
        8_192,
        32,
        8,
        65_536,
        tied=True,
        kernel=3,
        attention_blocks=_LFM2_ATTENTION,
    ),
    "lfm2-8B-A1B": Architecture(
        LFM2_MOE,
        24,
        2_048,
        7_168,
        32,
        8,
        65_536,
        tied=True,
        experts=Experts(total=32, used=4, ffn=1_792, dense_blocks=2),
        kernel=3,
        attention_blocks=_LFM2_MOE_ATTENTION,
    ),
    "olmo-2-1B": Architecture(OLMO2, 16, 2_048, 8_192, 16, 16, 100_352, tied=False),
    "olmo-2-7B": Architecture(OLMO2, 32, 4_096, 11_008, 32, 32, 100_352, tied=False),
    "phi-4-mini": Architecture(PHI4, 32, 3_072, 8_192, 24, 8, 200_064, tied=True),
}
"""Every architecture by name, in its family from small to large."""
