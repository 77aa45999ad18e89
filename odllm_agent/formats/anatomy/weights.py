"""How often each tensor of a model is read, and what is multiplied with it."""

import math

from odllm_agent.contract import Use, WeightGroup
from odllm_agent.formats.anatomy.blocks import Untold, block_of
from odllm_agent.formats.header import Tensor
from odllm_agent.formats.hyperparameters import Hyperparameters

EMBEDDINGS, OUTPUT = "token_embd.weight", "output.weight"
_ADDED = (".bias", "norm.weight")
_EXPERTS, _CHUNK_EXPERTS = "_exps.", "_chexps."


def weight_group(tensor: Tensor, of: Hyperparameters, *, tied: bool) -> WeightGroup:
    """One tensor as a group by itself.

    Args:
        tensor: The tensor.
        of: What the header says of the architecture.
        tied: Whether the embeddings serve as the output too.

    Raises:
        Untold: How many of its experts a token meets is not stated, or not one by one.
    """
    use = _use(tensor.name, tied=tied)
    looked_up = use is Use.LOOKUP
    n_rows = math.prod(tensor.shape[1:]) if looked_up else 1
    experts, used = _experts(tensor, of)
    multiplied = len(tensor.shape) > 1 and not looked_up and not tensor.name.endswith(_ADDED)
    return WeightGroup(
        use,
        tensor.type,
        tensor.n_bytes // n_rows,
        tensor.n_weights if multiplied else 0,
        experts,
        used,
    )


def _use(name: str, *, tied: bool) -> Use:
    if name == OUTPUT or (tied and name == EMBEDDINGS):
        return Use.OUTPUT
    looked_up = block_of(name) is None and name.endswith("_embd.weight")
    return Use.LOOKUP if looked_up else Use.TOKENS


def _experts(tensor: Tensor, of: Hyperparameters) -> tuple[int, int]:
    """The experts that a tensor is shared out among, and how many of them a token meets."""
    if _CHUNK_EXPERTS in tensor.name:
        raise Untold("its experts share parts, of which it is not known how many a token meets")
    if _EXPERTS not in tensor.name or len(tensor.shape) < 2:
        return 1, 1
    experts = of.count("expert_count")
    used = of.of_block("expert_used_count", block_of(tensor.name) or 0)
    if not 0 < used <= experts or tensor.shape[-1] != experts:
        raise Untold("how many of its experts a token meets is not stated")
    return experts, used
