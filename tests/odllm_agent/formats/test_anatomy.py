"""What models consist of, told by the tensors of real files and of described ones."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Anatomy, SlidingWindow, Use
from odllm_agent.formats.anatomy import anatomy
from odllm_agent.formats.architectures import ARCHITECTURES, Architecture
from odllm_agent.formats.header import Tensor
from odllm_agent.formats.hyperparameters import Hyperparameters
from odllm_agent.models import ladder, read_header
from tests.models import TINY, write_gguf

Stated = int | float | bool | tuple[int | float | bool, ...]


def tensors(*shapes: tuple[str, tuple[int, ...]], kind: str = "F16") -> tuple[Tensor, ...]:
    return tuple(Tensor(name, kind, shape, 0) for name, shape in shapes)


def told(
    found: Sequence[Tensor],
    architecture: str = "llama",
    blocks: int = 1,
    stated: Mapping[str, Stated] | None = None,
    **others: Stated,
) -> Anatomy:
    """What tensors are told to be by a header that states these; a `__` stands for a dot."""
    stated = {**(stated or {}), **others}
    by_key = {key.replace("__", "."): value for key, value in stated.items()}
    return anatomy(found, Hyperparameters(architecture, blocks, by_key))


BLOCK = (
    ("blk.0.attn_norm.weight", (8,)),
    ("blk.0.attn_q.weight", (8, 8)),
    ("blk.0.attn_k.weight", (8, 4)),
    ("blk.0.attn_v.weight", (8, 4)),
    ("blk.0.attn_output.weight", (8, 8)),
)
EMBEDDINGS = ("token_embd.weight", (8, 100))
OUTPUT = ("output.weight", (8, 100))


def test_of_tied_embeddings_the_output_is_read_whole(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "tiny.gguf"))
    found = anatomy(header.tensors, header.hyperparameters)
    assert sum(group.n_bytes for group in found.weights) == header.weight_bytes
    (output,) = (group for group in found.weights if group.use is Use.OUTPUT)
    assert output.n_multiplied == TINY.vocabulary * TINY.width
    # One block keeps keys and values of half the width each.
    assert (found.kv_values, found.query_values) == (TINY.width, TINY.width)


def test_of_embeddings_that_are_only_looked_up_one_row_is_read() -> None:
    found = told(tensors(EMBEDDINGS, *BLOCK, OUTPUT))
    by_use = {group.use: group for group in found.weights}
    assert by_use[Use.LOOKUP].n_bytes == 8 * 2
    assert by_use[Use.LOOKUP].n_multiplied == 0
    assert by_use[Use.OUTPUT].n_bytes == 100 * 8 * 2
    assert by_use[Use.TOKENS].n_bytes == (8 + 64 + 32 + 32 + 64) * 2


def test_norms_and_biases_are_read_but_no_matrices() -> None:
    found = told(tensors(EMBEDDINGS, *BLOCK, ("blk.0.attn_q.bias", (8,))))
    (block,) = (group for group in found.weights if group.use is Use.TOKENS)
    assert block.n_multiplied == 64 + 32 + 32 + 64


def test_fused_queries_keys_and_values_are_told_apart() -> None:
    fused = [each for each in BLOCK if each[0].split(".")[2] not in {"attn_q", "attn_k", "attn_v"}]
    found = told(tensors(EMBEDDINGS, *fused, ("blk.0.attn_qkv.weight", (8, 16))))
    assert (found.kv_values, found.query_values) == (8, 8)


def test_types_of_one_use_are_told_apart() -> None:
    mixed = (*tensors(EMBEDDINGS, *BLOCK[:3]), *tensors(*BLOCK[3:], kind="F32"))
    types = {group.type for group in told(mixed).weights if group.use is Use.TOKENS}
    assert types == {"F16", "F32"}


def block(number: int, *within: tuple[str, tuple[int, ...]]) -> tuple[Tensor, ...]:
    return tensors(*((f"blk.{number}.{name}", shape) for name, shape in within))


ATTENTION = tuple((name.removeprefix("blk.0."), shape) for name, shape in BLOCK)
# Four experts of 8 x 16, of which a token meets two; a router and an expert that all tokens meet.
EXPERTS = (
    ("ffn_gate_inp.weight", (8, 4)),
    ("ffn_up_exps.weight", (8, 16, 4)),
    ("ffn_down_exps.weight", (16, 8, 4)),
    ("ffn_down_exps.bias", (8, 4)),
    ("ffn_up_shexp.weight", (8, 16)),
)


def test_a_token_reads_the_experts_that_it_meets_and_all_else() -> None:
    found = told(
        (*tensors(EMBEDDINGS, OUTPUT), *block(0, *ATTENTION, *EXPERTS)),
        "qwen3moe",
        expert_count=4,
        expert_used_count=2,
    )
    (experts,) = (each for each in found.weights if each.experts > 1)
    assert (experts.experts, experts.experts_used) == (4, 2)
    assert experts.n_bytes == 2 * (8 * 16 * 4 + 16 * 8 * 4 + 8 * 4)
    (others,) = (each for each in found.weights if each.use is Use.TOKENS and each.experts == 1)
    assert others.n_bytes == 2 * (8 + 64 + 32 + 32 + 64 + 8 * 4 + 8 * 16)


def test_each_block_may_use_its_own_number_of_experts() -> None:
    tensors_ = (*tensors(EMBEDDINGS), *(t for n in (0, 1) for t in block(n, *ATTENTION, *EXPERTS)))
    found = told(tensors_, "qwen3moe", 2, expert_count=4, expert_used_count=(1, 3))
    assert sorted(each.experts_used for each in found.weights if each.experts > 1) == [1, 3]


def test_blocks_with_a_window_are_told_apart() -> None:
    made = (*tensors(EMBEDDINGS), *(t for n in range(7) for t in block(n, *ATTENTION)))
    found = told(made, "gemma3", 7, attention__sliding_window=512)
    assert (found.kv_values, found.query_values) == (7 * 8, 7 * 8)
    # Every sixth block looks back at all tokens.
    assert found.windows == (SlidingWindow(512, 6 * 8, 6 * 8),)


@pytest.mark.parametrize(
    ("architecture", "pattern", "within"),
    [
        ("gpt-oss", None, 2),
        ("gpt-oss", 4, 3),
        ("gemma4", (True, True, False, True), 3),
        ("laguna", None, 3),
        ("lfm2", None, 4),
        ("phi3", None, 0),
        ("qwen2", None, 0),
    ],
)
def test_which_blocks_have_a_window_is_as_llama_cpp_has_it(
    architecture: str, pattern: Stated | None, within: int
) -> None:
    made = (*tensors(EMBEDDINGS), *(t for n in range(4) for t in block(n, *ATTENTION)))
    stated: dict[str, Stated] = {"attention__sliding_window": 16}
    if pattern is not None:
        stated["attention__sliding_window_pattern"] = pattern
    found = told(made, architecture, 4, stated)
    assert sum(each.kv_values for each in found.windows) == 8 * within


# Without one are blocks 1 and 3 of the first, 0 and 4 of the second, and 3 of the third.
@pytest.mark.parametrize(("architecture", "within"), [("gpt-oss", 3), ("laguna", 3), ("afmoe", 4)])
def test_the_block_without_a_window_is_the_last_of_its_kind_or_the_first(
    architecture: str, within: int
) -> None:
    made = (*tensors(EMBEDDINGS), *(t for n in range(5) for t in block(n, *ATTENTION)))
    found = told(made, architecture, 5, attention__sliding_window=16)
    assert sum(each.kv_values for each in found.windows) == 8 * within


def test_a_block_that_looks_into_the_cache_of_another_makes_no_keys() -> None:
    made = (*tensors(EMBEDDINGS), *(t for n in range(4) for t in block(n, *ATTENTION)))
    pattern = (True, False, True, False)
    found = told(
        made,
        "gemma4",
        4,
        attention__sliding_window=16,
        attention__sliding_window_pattern=pattern,
        attention__shared_kv_layers=2,
    )
    assert found.kv_values == 4 * 8
    (used,) = (each for each in found.weights if each.use is Use.TOKENS)
    assert used.n_bytes == 2 * (4 * (8 + 64 + 64) + 2 * (32 + 32))


def test_a_short_convolution_keeps_a_state_and_no_keys() -> None:
    convolution = ("shortconv.conv.weight", (3, 8))
    made = (*tensors(EMBEDDINGS), *block(0, *ATTENTION), *block(1, convolution))
    found = told(made, "lfm2", 2)
    assert (found.kv_values, found.state_bytes) == (8, 2 * 8 * 4)


def test_a_state_space_block_keeps_its_convolution_and_its_state() -> None:
    made = (*tensors(EMBEDDINGS), *block(0, ("ssm_conv1d.weight", (4, 24))), *block(1, *ATTENTION))
    found = told(
        made,
        "granitehybrid",
        2,
        ssm__conv_kernel=4,
        ssm__inner_size=16,
        ssm__state_size=4,
        ssm__group_count=1,
    )
    assert (found.kv_values, found.state_bytes) == (8, 4 * (3 * 24 + 16 * 4))


def test_blocks_that_predict_further_tokens_are_not_run() -> None:
    made = (*tensors(EMBEDDINGS), *block(0, *ATTENTION), *block(1, *ATTENTION))
    found = told(made, "glm4moe", 2, nextn_predict_layers=1)
    assert found == told((*tensors(EMBEDDINGS), *block(0, *ATTENTION)))


def test_latent_attention_keeps_one_vector_for_all_heads() -> None:
    latent = (("attn_kv_a_mqa.weight", (8, 6)), ("attn_k_b.weight", (2, 4, 3)), ATTENTION[-1])
    found = told(
        (*tensors(EMBEDDINGS), *block(0, *latent)),
        "deepseek2",
        attention__kv_lora_rank=4,
        attention__head_count=3,
    )
    # Scores of all 6 values and sums of 4 for each of three heads.
    assert (found.kv_values, found.query_values) == (6, 3 * (6 + 4) // 2)


@pytest.mark.parametrize(
    ("extra", "architecture", "stated", "reason"),
    [
        (("ffn_up_exps.weight", (8, 16, 4)), "qwen3moe", {}, "experts"),
        (("ffn_up_exps.weight", (8, 16, 4)), "qwen3moe", {"expert_count": 4}, "experts"),
        (("ffn_up_chexps.weight", (8, 16, 4)), "grovemoe", {"expert_count": 4}, "parts"),
        (("attn_norm.weight", (8,)), "minimax-01", {}, "linear attention"),
        (("attn_norm.weight", (8,)), "deepseek32", {"attention__indexer__head_count": 4}, "choose"),
        (("attn_norm.weight", (8,)), "llama4", {}, "chunks"),
        (("attn_norm.weight", (8,)), "step35", {"attention__sliding_window": 8}, "not stated"),
    ],
)
def test_what_cannot_be_told_says_why(
    extra: tuple[str, tuple[int, ...]], architecture: str, stated: dict[str, Stated], reason: str
) -> None:
    made = (*tensors(EMBEDDINGS), *block(0, *ATTENTION, extra))
    found = told(made, architecture, stated=stated)
    assert found.weights == ()
    assert reason in found.reason


@pytest.mark.parametrize(
    ("within", "blocks"),
    [
        ((("ssm_in.weight", (8, 16)),), 1),
        ((("attn_output.weight", (8, 8)),), 1),
        ((("attn_output.weight", (8,)), *ATTENTION[:-1]), 1),
        (ATTENTION, 2),
        (ATTENTION, 2**32 - 1),
    ],
)
def test_blocks_of_no_known_kind_are_told(
    within: tuple[tuple[str, tuple[int, ...]], ...], blocks: int
) -> None:
    found = told((*tensors(EMBEDDINGS), *block(0, *within)), blocks=blocks)
    assert found.weights == ()
    assert "block" in found.reason


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "token_embd.weight",
                    "blk.0.attn_output.weight",
                    "blk.0.attn_k.weight",
                    "blk.0.attn_qkv.weight",
                    "blk.0.shortconv.conv.weight",
                    "blk.0.ffn_up_exps.weight",
                    "blk.0",
                    "blk.x.y",
                ]
            ),
            st.lists(st.integers(1, 9), max_size=4).map(tuple),
        ),
        max_size=6,
        unique_by=lambda each: each[0],
    ),
    st.dictionaries(
        st.sampled_from(["expert_count", "expert_used_count", "attention.sliding_window_pattern"]),
        st.one_of(
            st.integers(-3, 9), st.floats(), st.lists(st.integers(0, 9), max_size=3).map(tuple)
        ),
    ),
    st.sampled_from(["llama", "gemma3", "gemma4", "lfm2", "gpt-oss"]),
)
def test_whatever_a_file_says_it_is_told_or_there_is_a_reason(
    shapes: list[tuple[str, tuple[int, ...]]], stated: dict[str, Stated], architecture: str
) -> None:
    stated = {"attention.sliding_window": 8, **stated}
    found = anatomy(tensors(*shapes), Hyperparameters(architecture, 1, stated))
    assert bool(found.weights) != bool(found.reason)
    assert all(0 < each.share <= 1 for each in found.weights)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_published_shapes_keep_as_many_keys_and_values_as_their_heads_say(name: str) -> None:
    architecture = ARCHITECTURES[name]
    found = of_architecture(architecture)
    attending = len(architecture.attention_blocks or range(architecture.layers))
    assert found.kv_values == 2 * attending * architecture.kv_heads * architecture.head_width
    assert found.query_values == attending * architecture.heads * architecture.head_width
    assert bool(found.state_bytes) == (attending < architecture.layers)
    unread = 0 if architecture.tied else architecture.vocabulary * architecture.width
    matrices = sum(group.n_multiplied for group in found.weights)
    assert architecture.n_weights - unread - matrices < 0.001 * architecture.n_weights


# Billions of weights that a token is multiplied with. That of the gpt-oss model card, and that
# which is in a name.
@pytest.mark.parametrize(
    ("name", "active"),
    [("gpt-oss-20B", "3.61"), ("qwen3-30B-A3B", "3")],
)
def test_a_token_meets_as_many_weights_as_are_published(name: str, active: str) -> None:
    found = of_architecture(ARCHITECTURES[name])
    met = Decimal(sum(each.n_multiplied * each.share for each in found.weights)) / 10**9
    assert met.quantize(Decimal(active)) == Decimal(active)


def of_architecture(architecture: Architecture) -> Anatomy:
    """What the architecture's file would be told to be, all of its matrices as F16."""
    stated = {
        key: value for key, value in architecture.pairs().items() if not isinstance(value, str)
    }
    of = Hyperparameters(architecture.family.name, architecture.layers, stated)
    return anatomy(tensors(*((n, s[::-1]) for n, s in architecture.tensor_shapes())), of)


def test_the_reference_models_can_be_told() -> None:
    for origin in ladder.origins().values():
        header = read_header(origin.path)
        found = anatomy(header.tensors, header.hyperparameters)
        assert found.weights
        assert not found.reason
