"""What a GGUF model consists of, told by its tensors and what its header says of them."""

from collections.abc import Iterator, Sequence

from odllm_agent.contract import ENDLESS, Anatomy
from odllm_agent.formats.anatomy.attention import OWN_KEYS, attend, keeping_blocks
from odllm_agent.formats.anatomy.blocks import Untold, block_of, blocks, name_within
from odllm_agent.formats.anatomy.states import state_bytes
from odllm_agent.formats.anatomy.weights import OUTPUT, weight_group
from odllm_agent.formats.anatomy.windows import windows
from odllm_agent.formats.header import Tensor
from odllm_agent.formats.hyperparameters import Hyperparameters

_UNTOLD_KEYS = {
    "attention.indexer.head_count": "its attention chooses which tokens it looks at",
    "kda.head_dim": "its linear attention is of a kind not known here",
}
_UNTOLD_ARCHITECTURES = {
    "deepseek4": "its attention looks back at summaries of the context",
    "dflash": "it only drafts for another model",
    "eagle3": "it only drafts for another model",
    "gemma4-assistant": "it only drafts for another model",
    "hrm-text": "its blocks are run several times for a token",
    "minimax-01": "its linear attention is of a kind not known here",
    "nanbeige": "its blocks are run several times for a token",
}


def anatomy(tensors: Sequence[Tensor], of: Hyperparameters) -> Anatomy:
    """What a model with these tensors consists of, or why that cannot be told.

    Args:
        tensors: Every tensor of the file.
        of: What its header says of the architecture.
    """
    try:
        return _anatomy(list(_run(tensors, of)), of)
    except Untold as untold:
        return Anatomy(reason=str(untold))


def _anatomy(tensors: Sequence[Tensor], of: Hyperparameters) -> Anatomy:
    _refuse_untold(of)
    found = blocks(tensors)
    if not found or len(found) != _n_run(of) or max(found) >= len(found):
        raise Untold(f"it has not the tensors of {_n_run(of)} blocks, as its header states")
    attention = attend(found, windows(of), of)
    tied = all(tensor.name != OUTPUT for tensor in tensors)
    return Anatomy.of(
        [weight_group(tensor, of, tied=tied) for tensor in tensors],
        kv_values=sum(each.kv_values for each in attention),
        query_values=sum(each.query_values for each in attention),
        windows=[each for each in attention if each.tokens < ENDLESS],
        state_bytes=state_bytes(found, of),
    )


def _run(tensors: Sequence[Tensor], of: Hyperparameters) -> Iterator[Tensor]:
    """The tensors that a token is run through.

    Blocks that predict a further token are not, nor what would make keys and values in blocks that
    look into the cache of others.
    """
    end, keeping = _n_run(of), keeping_blocks(of)
    for tensor in tensors:
        block = block_of(tensor.name)
        borrowing = block is not None and block >= keeping
        if borrowing and name_within(tensor.name).startswith(OWN_KEYS):
            continue
        if block is None or block < end:
            yield tensor


def _n_run(of: Hyperparameters) -> int:
    return of.n_blocks - of.count("nextn_predict_layers")


def _refuse_untold(of: Hyperparameters) -> None:
    reason = _UNTOLD_ARCHITECTURES.get(of.architecture)
    stated = (why for key, why in _UNTOLD_KEYS.items() if of.count(key))
    if reason := reason or next(stated, None):
        raise Untold(reason)
