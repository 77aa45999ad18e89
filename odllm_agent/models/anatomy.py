"""What a GGUF model consists of, told by the names and shapes of its tensors."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from odllm_agent.contract import Anatomy, Use, WeightGroup
from odllm_agent.models.header import Tensor

_EMBEDDINGS, _OUTPUT = "token_embd.weight", "output.weight"
_BLOCK = "blk."
_EXPERTS = "_exps"


def anatomy(tensors: Sequence[Tensor]) -> Anatomy:
    """What a model with these tensors consists of, or why that cannot be told.

    A sliding window is not seen: keys and values of all tokens count, also of those behind it.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    if any(_EXPERTS in name for name in by_name):
        return Anatomy(reason="which of its experts a token meets is not known beforehand")
    try:
        attention = [_attention(block) for block in _blocks(by_name).values()]
    except KeyError as error:
        return Anatomy(reason=f"its attention is of a kind not known here: it has no {error}")
    return Anatomy(
        weights=tuple(_grouped(tensors, tied=_OUTPUT not in by_name)),
        kv_values=sum(kv_values for kv_values, _ in attention),
        query_values=sum(query_values for _, query_values in attention),
    )


def _blocks(by_name: Mapping[str, Tensor]) -> Mapping[str, Mapping[str, Tensor]]:
    """The tensors of each block by their names in it."""
    blocks: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in by_name.items():
        if name.startswith(_BLOCK):
            _, number, part = name.split(".", 2)
            blocks[number][part] = tensor
    return blocks


def _attention(block: Mapping[str, Tensor]) -> tuple[int, int]:
    """The values that a token leaves in the cache of a block, and those of its query."""
    query_values = block["attn_output.weight"].shape[0]
    if "attn_qkv.weight" in block:
        return block["attn_qkv.weight"].shape[1] - query_values, query_values
    return sum(block[f"attn_{part}.weight"].shape[1] for part in "kv"), query_values


def _grouped(tensors: Sequence[Tensor], *, tied: bool) -> Iterator[WeightGroup]:
    sums: defaultdict[tuple[Use, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for tensor in tensors:
        use = _use(tensor.name, tied=tied)
        share = tensor.n_weights // tensor.shape[0] if use is Use.LOOKUP else 1
        multiplied = tensor.n_weights if len(tensor.shape) > 1 and use is not Use.LOOKUP else 0
        n_bytes, n_multiplied = sums[use, tensor.type]
        sums[use, tensor.type] = (n_bytes + tensor.n_bytes // share, n_multiplied + multiplied)
    # Sorted, because a file that is only foreseen has its tensors in another order.
    for (use, kind), (n_bytes, n_multiplied) in sorted(sums.items()):
        yield WeightGroup(use, kind, n_bytes, n_multiplied)


def _use(name: str, *, tied: bool) -> Use:
    if name == _OUTPUT or (tied and name == _EMBEDDINGS):
        return Use.OUTPUT
    looked_up = not name.startswith(_BLOCK) and name.endswith("_embd.weight")
    return Use.LOOKUP if looked_up else Use.TOKENS
