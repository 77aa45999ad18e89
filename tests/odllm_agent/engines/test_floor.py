"""What windows must read and compute, worked out by hand and held to what cannot be otherwise."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Anatomy,
    Engine,
    Format,
    Phase,
    SlidingWindow,
    Use,
    WeightGroup,
    Workload,
)
from odllm_agent.engines.floor import KvCache, ceiling_types, work
from tests import support

F16_CACHE = KvCache("F16", 2.0)
SIZES = st.integers(1, 10_000)

# Two blocks of 100 weights each at half a byte, an output of 40 weights at one byte, embeddings
# with rows of 10 bytes; 6 keys and values and 4 query values per token.
ANATOMY = Anatomy(
    weights=(
        WeightGroup(Use.TOKENS, "Q4_0", n_bytes=100, n_multiplied=200),
        WeightGroup(Use.TOKENS, "F32", n_bytes=8),
        WeightGroup(Use.OUTPUT, "Q8_0", n_bytes=40, n_multiplied=40),
        WeightGroup(Use.LOOKUP, "Q8_0", n_bytes=10),
    ),
    kv_values=6,
    query_values=4,
)


def amounts(
    workload: Workload, anatomy: Anatomy = ANATOMY
) -> dict[tuple[Phase, str], tuple[float, float]]:
    found = work(anatomy, F16_CACHE, workload)
    return {(each.phase, each.type): (each.read_bytes, each.operations) for each in found}


def test_an_output_token_reads_every_matrix_one_row_of_embeddings_and_the_mean_cache() -> None:
    found = amounts(Workload("w", prompt_tokens=3, output_tokens=5, depth_tokens=2))
    assert found[Phase.DECODE, "Q4_0"] == (100, 400)
    assert found[Phase.DECODE, "F32"] == (8, 0)
    assert found[Phase.DECODE, "Q8_0"] == (40 + 10, 80)
    # The five output tokens meet 6, 7, 8, 9 and 10 keys with their own.
    assert found[Phase.DECODE, "F16"] == (8 * 6 * 2, 8 * 4 * 4)


def test_a_prompt_reads_weights_once_and_only_its_last_token_meets_the_output() -> None:
    found = amounts(Workload("w", prompt_tokens=3, output_tokens=5, depth_tokens=2))
    assert found[Phase.PREFILL, "Q4_0"] == (100, 3 * 400)
    assert found[Phase.PREFILL, "Q8_0"] == (40 + 3 * 10, 80)
    # Its three tokens meet 3, 4 and 5 keys, and leave 5 tokens in the cache.
    assert found[Phase.PREFILL, "F16"] == (5 * 6 * 2, 12 * 4 * 4)


def test_keys_of_the_type_of_the_weights_are_told_together_with_them() -> None:
    cache = KvCache("Q8_0", 34 / 32)
    found = work(ANATOMY, cache, Workload("w", prompt_tokens=1, output_tokens=1))
    assert len({(each.phase, each.type) for each in found}) == len(found)
    (decode,) = (each for each in found if (each.phase, each.type) == (Phase.DECODE, "Q8_0"))
    assert decode.read_bytes == pytest.approx(50 + 2 * 6 * 34 / 32)
    assert decode.operations == 80 + 2 * 4 * 4


def test_a_model_that_cannot_be_told_has_no_work_rather_than_none_to_do() -> None:
    untold = Anatomy(reason="its attention looks back at chunks of the context")
    assert work(untold, F16_CACHE, Workload("w", 1, 1)) == ()


# Eight experts of 1,000 bytes, of which a token meets two; a window of 4 tokens in blocks that have
# 10 of the 16 keys and values; a state of 64 bytes.
MIXTURE = Anatomy(
    weights=(WeightGroup(Use.TOKENS, "Q4_K", 8000, 16_000, experts=8, experts_used=2),),
    kv_values=16,
    query_values=8,
    windows=(SlidingWindow(4, kv_values=10, query_values=5),),
    state_bytes=64,
)


def test_of_experts_an_output_token_reads_those_that_it_meets() -> None:
    found = amounts(Workload("w", prompt_tokens=3, output_tokens=5), MIXTURE)
    assert found[Phase.DECODE, "Q4_K"] == (2000, 2 * 16_000 / 4)


def test_of_experts_a_prompt_reads_those_that_any_token_meets() -> None:
    found = amounts(Workload("w", prompt_tokens=3, output_tokens=5), MIXTURE)
    # Each expert is missed by all three tokens with a chance of 3/4 to the third.
    assert found[Phase.PREFILL, "Q4_K"] == (8000 * (1 - 27 / 64), 3 * 2 * 16_000 / 4)
    (read, _) = amounts(Workload("w", 500, 1), MIXTURE)[Phase.PREFILL, "Q4_K"]
    assert read == pytest.approx(8000)


def test_behind_a_window_no_keys_are_read() -> None:
    found = amounts(Workload("w", prompt_tokens=3, output_tokens=5, depth_tokens=2), MIXTURE)
    # Five output tokens meet 6 to 10 keys, within the window 4 each.
    assert found[Phase.DECODE, "F16"] == (2 * (8 * 6 + 4 * 10), 4 * (8 * 3 + 4 * 5))
    # Three prompt tokens meet 3, 4 and 5 keys, within the window 3, 4 and 4; all 5 are read there.
    assert found[Phase.PREFILL, "F16"] == (2 * (5 * 6 + 5 * 10), 4 * (12 * 3 + 11 * 5))


def test_a_prompt_reads_only_the_keys_that_its_tokens_look_back_at() -> None:
    found = amounts(Workload("w", prompt_tokens=2, output_tokens=1, depth_tokens=100), MIXTURE)
    # The first token looks back at three before it.
    assert found[Phase.PREFILL, "F16"][0] == 2 * (102 * 6 + 5 * 10)


def test_a_state_is_read_once_whatever_the_depth() -> None:
    for depth in (0, 1000):
        found = amounts(Workload("w", 3, 5, depth), MIXTURE)
        assert found[Phase.DECODE, "F32"] == found[Phase.PREFILL, "F32"] == (64, 0)


@given(SIZES, SIZES, st.integers(0, 10_000), st.sampled_from([ANATOMY, MIXTURE]))
def test_more_tokens_never_ask_for_less(
    prompt: int, output: int, depth: int, anatomy: Anatomy
) -> None:
    def total(workload: Workload, phase: Phase) -> tuple[float, float]:
        found = [each for each in work(anatomy, F16_CACHE, workload) if each.phase is phase]
        return sum(each.read_bytes for each in found), sum(each.operations for each in found)

    workload = Workload("w", prompt, output, depth)
    for name in ("prompt_tokens", "output_tokens", "depth_tokens"):
        longer = dataclasses.replace(workload, **{name: getattr(workload, name) + 1})
        for phase in Phase:
            less, more = total(workload, phase), total(longer, phase)
            assert less[0] <= more[0]
            assert less[1] <= more[1]


@given(SIZES, SIZES, st.sampled_from([ANATOMY, MIXTURE]))
def test_the_mean_output_token_is_the_mean_of_its_tokens_one_by_one(
    prompt: int, output: int, anatomy: Anatomy
) -> None:
    def cache_bytes(before: int, tokens: int) -> float:
        found = work(anatomy, F16_CACHE, Workload("w", before, tokens))
        return sum(e.read_bytes for e in found if (e.phase, e.type) == (Phase.DECODE, "F16"))

    tokens = min(output, 50)
    one_by_one = [cache_bytes(prompt + place, 1) for place in range(tokens)]
    assert cache_bytes(prompt, tokens) == pytest.approx(sum(one_by_one) / tokens)


def test_ceilings_are_wanted_of_what_is_multiplied_and_of_the_cache() -> None:
    model = dataclasses.replace(support.model_file(), anatomy=ANATOMY)
    engine = support.engine(kv_type_k="f16")
    assert ceiling_types(engine, model) == {"Q4_0", "Q8_0", "F16"}


def test_openvino_has_other_types_than_the_gguf_file_that_it_converts() -> None:
    engine = Engine("openvino", "2026.4", {"threads": 2})
    gguf = dataclasses.replace(support.model_file(), anatomy=ANATOMY)
    assert "u4" in ceiling_types(engine, gguf)
    assert "Q4_0" not in ceiling_types(engine, gguf)
    groups = (WeightGroup(Use.TOKENS, "i4", 50, 100),)
    own = dataclasses.replace(gguf, format=Format.OPENVINO_IR, anatomy=Anatomy(groups))
    assert ceiling_types(engine, own) == {"i4"}
