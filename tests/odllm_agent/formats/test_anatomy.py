"""What models consist of, told by the tensors of real files and of described ones."""

from pathlib import Path

import pytest

from odllm_agent.contract import Use
from odllm_agent.formats.anatomy import anatomy
from odllm_agent.formats.architecture import ARCHITECTURES
from odllm_agent.formats.header import Tensor
from odllm_agent.models import ladder, read_header
from tests.models import TINY, write_gguf


def tensors(*shapes: tuple[str, tuple[int, ...]], kind: str = "F16") -> tuple[Tensor, ...]:
    return tuple(Tensor(name, kind, shape, 0) for name, shape in shapes)


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
    found = anatomy(header.tensors)
    assert sum(group.n_bytes for group in found.weights) == header.weight_bytes
    (output,) = (group for group in found.weights if group.use is Use.OUTPUT)
    assert output.n_multiplied == TINY.vocabulary * TINY.width
    # One block keeps keys and values of half the width each.
    assert (found.kv_values, found.query_values) == (TINY.width, TINY.width)


def test_of_embeddings_that_are_only_looked_up_one_row_is_read() -> None:
    found = anatomy(tensors(EMBEDDINGS, *BLOCK, OUTPUT))
    by_use = {group.use: group for group in found.weights}
    assert by_use[Use.LOOKUP].n_bytes == 8 * 2
    assert by_use[Use.LOOKUP].n_multiplied == 0
    assert by_use[Use.OUTPUT].n_bytes == 100 * 8 * 2
    assert by_use[Use.TOKENS].n_bytes == (8 + 64 + 32 + 32 + 64) * 2


def test_norms_and_biases_are_read_but_no_matrices() -> None:
    found = anatomy(tensors(EMBEDDINGS, *BLOCK, ("blk.0.attn_q.bias", (8,))))
    (block,) = (group for group in found.weights if group.use is Use.TOKENS)
    assert block.n_multiplied == 64 + 32 + 32 + 64


def test_fused_queries_keys_and_values_are_told_apart() -> None:
    fused = [each for each in BLOCK if each[0].split(".")[2] not in {"attn_q", "attn_k", "attn_v"}]
    found = anatomy(tensors(EMBEDDINGS, *fused, ("blk.0.attn_qkv.weight", (8, 16))))
    assert (found.kv_values, found.query_values) == (8, 8)


def test_types_of_one_use_are_told_apart() -> None:
    mixed = (*tensors(EMBEDDINGS, *BLOCK[:3]), *tensors(*BLOCK[3:], kind="F32"))
    types = {group.type for group in anatomy(mixed).weights if group.use is Use.TOKENS}
    assert types == {"F16", "F32"}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (("blk.0.ffn_up_exps.weight", (8, 16, 4)), "experts"),
        (("blk.1.ssm_in.weight", (8, 16)), "attn_output"),
    ],
)
def test_what_cannot_be_told_says_why(extra: tuple[str, tuple[int, ...]], reason: str) -> None:
    found = anatomy(tensors(EMBEDDINGS, *BLOCK, extra))
    assert found.weights == ()
    assert reason in found.reason


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_published_shapes_keep_as_many_keys_and_values_as_their_heads_say(name: str) -> None:
    architecture = ARCHITECTURES[name]
    found = anatomy(tensors(*((n, s[::-1]) for n, s in architecture.tensor_shapes())))
    kv_width = architecture.kv_heads * architecture.head_width
    assert found.kv_values == 2 * architecture.layers * kv_width
    assert found.query_values == architecture.layers * architecture.width
    unread = 0 if architecture.tied else architecture.vocabulary * architecture.width
    matrices = sum(group.n_multiplied for group in found.weights)
    assert architecture.n_weights - unread - matrices < 0.001 * architecture.n_weights


def test_the_reference_models_can_be_told() -> None:
    for origin in ladder.origins().values():
        found = anatomy(read_header(origin.path).tensors)
        assert found.weights
        assert not found.reason
