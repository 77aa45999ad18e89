"""The published architectures: their sizes, and how llama.cpp knows them."""

import math
from decimal import Decimal

import pytest

from odllm_agent.formats.architectures import ARCHITECTURES, ROPE_FACTORS, rope_factors
from odllm_agent.models.random_weights import POOL_BLOCKS

# Weights and tensors of the published models as GGUF files, as llama-bench and the loader tell
# them; Llama 3.1 and 3.2 have their rotary factors beside the weights of the model card.
PUBLISHED = {
    "qwen2.5-0.5B": (494_032_768, 290),
    "qwen2.5-1.5B": (1_543_714_304, 338),
    "qwen2.5-3B": (3_085_938_688, 434),
    "qwen2.5-7B": (7_615_616_512, 339),
    "qwen2.5-14B": (14_770_033_664, 579),
    "llama-3.2-1B": (1_235_814_400 + 32, 147),
    "llama-3.2-3B": (3_212_749_824 + 64, 255),
    "llama-3.1-8B": (8_030_261_248 + 64, 292),
}


# Billions of weights, as many digits as are published; see `conf/model/` for where. Of the gpt-oss
# model card the sum of its table of parameters; Gemma's smallest as llama.cpp counts its real file.
ROUNDED = {
    "qwen3-0.6B": "0.596",
    "qwen3-1.7B": "1.72",
    "qwen3-4B": "4.0",
    "qwen3-8B": "8.2",
    "qwen3-14B": "14.8",
    "qwen3-30B-A3B": "30.5",
    "gemma-3-270M": "0.268098176",
    "gemma-3-1B": "1.00",
    "smollm3-3B": "3.08",
    "granite-3.3-2B": "2.5",
    "gpt-oss-20B": "20.91",
    "lfm2-350M": "0.354484",
    "lfm2-700M": "0.742489",
    "lfm2-1.2B": "1.170341",
    "lfm2-8B-A1B": "8.3",
    "phi-4-mini": "3.84",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_architecture_has_the_weights_of_the_published_model(name: str) -> None:
    architecture = ARCHITECTURES[name]
    shapes = dict(architecture.tensor_shapes())
    assert (architecture.n_weights, len(shapes)) == PUBLISHED[name]


@pytest.mark.parametrize("name", ROUNDED)
def test_architectures_have_as_many_weights_as_all_published_digits_say(name: str) -> None:
    published = Decimal(ROUNDED[name])
    found = Decimal(ARCHITECTURES[name].n_weights) / 10**9
    assert found.quantize(published) == published


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_heads_share_their_keys_evenly(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert architecture.heads % architecture.kv_heads == 0
    assert architecture.head_width in {64, 128, 256}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_matrix_has_more_rows_than_there_are_random_blocks(name: str) -> None:
    for _, shape in ARCHITECTURES[name].tensor_shapes():
        assert math.prod(shape[:-1]) <= POOL_BLOCKS


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_blocks_without_attention_are_those_that_are_not_named(name: str) -> None:
    architecture = ARCHITECTURES[name]
    keyed = {
        tensor.split(".")[1] for tensor, _ in architecture.tensor_shapes() if "attn_q" in tensor
    }
    assert len(keyed) == len(architecture.attention_blocks or range(architecture.layers))


def test_only_llama_slows_its_rotary_frequencies_down() -> None:
    slowed = {
        name for name, each in ARCHITECTURES.items() if ROPE_FACTORS in dict(each.tensor_shapes())
    }
    assert slowed == {"llama-3.2-1B", "llama-3.2-3B", "llama-3.1-8B"}


@pytest.mark.parametrize("name", ["llama-3.2-1B", "llama-3.2-3B", "llama-3.1-8B"])
def test_rotary_factors_follow_the_published_rule(name: str) -> None:
    architecture = ARCHITECTURES[name]
    width, factor = architecture.head_width, architecture.family.rope_factor
    expected = []
    for place in range(width // 2):
        wavelength = 2 * math.pi * 500_000.0 ** (2 * place / width)
        smooth = (8192 / wavelength - 1) / (4 - 1)
        between = 1 / ((1 - smooth) / factor + smooth)
        expected.append(1 if wavelength < 2048 else factor if wavelength > 8192 else between)
    found = rope_factors(architecture)
    assert found == pytest.approx(expected, rel=1e-12)
    assert (found[0], found[-1]) == (1, factor)
    assert len({*found} - {1, factor}) > 2
