"""What a GGUF model consists of, told by the names and shapes of its tensors."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from odllm_agent.contract import Anatomy, Use, WeightGroup
from odllm_agent.formats.header import Tensor

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
    tied = _OUTPUT not in by_name
    return Anatomy.of(
        (_part(tensor, tied=tied) for tensor in tensors),
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


def _part(tensor: Tensor, *, tied: bool) -> WeightGroup:
    use = _use(tensor.name, tied=tied)
    looked_up = use is Use.LOOKUP
    n_rows = tensor.n_weights // tensor.shape[0] if looked_up else 1
    multiplied = len(tensor.shape) > 1 and not looked_up
    return WeightGroup(
        use, tensor.type, tensor.n_bytes // n_rows, tensor.n_weights if multiplied else 0
    )


def _use(name: str, *, tied: bool) -> Use:
    if name == _OUTPUT or (tied and name == _EMBEDDINGS):
        return Use.OUTPUT
    looked_up = not name.startswith(_BLOCK) and name.endswith("_embd.weight")
    return Use.LOOKUP if looked_up else Use.TOKENS
