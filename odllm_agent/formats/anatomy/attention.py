"""What a token leaves in the KV cache of a block, and what it asks it with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from odllm_agent.contract import ENDLESS, SlidingWindow
from odllm_agent.formats.anatomy.blocks import Block, Untold, matrix
from odllm_agent.formats.hyperparameters import Hyperparameters

_OUTPUT, _FUSED, _LATENT = "attn_output.weight", "attn_qkv.weight", "attn_kv_a_mqa.weight"
_KEYS, _VALUES = "attn_k.weight", "attn_v.weight"
# What a block multiplies tokens with to get keys and values of its own.
OWN_KEYS = ("attn_k.", "attn_v.", "attn_k_norm.")
# Gemma 3n keeps keys and values of its first blocks only; llama.cpp has the number in its code.
_GEMMA3N_KEEPING = 20


@dataclass(frozen=True, slots=True)
class AttentionValues:
    """The attention of one block.

    Attributes:
        kv_values: Keys and values that a token meets of another.
        query_values: Values of the queries that it asks them with.
    """

    kv_values: int
    query_values: int


def keeping_blocks(of: Hyperparameters) -> int:
    """How many blocks keep keys and values; those after them look into the cache of these."""
    if of.architecture == "gemma3n":
        return min(_GEMMA3N_KEEPING, of.n_blocks)
    return of.n_blocks - of.count("attention.shared_kv_layers")


def attend(
    blocks: Mapping[int, Block], windows: Sequence[int], of: Hyperparameters
) -> tuple[SlidingWindow, ...]:
    """The attention of every block that has any.

    Args:
        blocks: The tensors of each block.
        windows: How many tokens each block looks back at.
        of: What the header says of the architecture.

    Raises:
        Untold: A block's attention is of a kind not known here.
    """
    keeping = keeping_blocks(of)
    last: dict[bool, int] = {}
    found = []
    for number, block in blocks.items():
        if _OUTPUT not in block:
            continue
        endless = windows[number] == ENDLESS
        query_values, _ = matrix(number, block, _OUTPUT)
        if number < keeping:
            attention = _attention(number, block, of)
            last[endless] = attention.kv_values
        elif endless in last:
            attention = AttentionValues(last[endless], query_values)
        else:
            raise Untold(f"no block before block {number} keeps keys and values for it")
        found.append(SlidingWindow(windows[number], attention.kv_values, attention.query_values))
    return tuple(found)


def _attention(number: int, block: Block, of: Hyperparameters) -> AttentionValues:
    if _LATENT in block:
        return _latent(number, block, of)
    query_values, _ = matrix(number, block, _OUTPUT)
    if _FUSED in block:
        if of.count("attention.key_length") != of.count("attention.value_length"):
            raise Untold("its keys and values are of two lengths, in one matrix with the queries")
        return AttentionValues(matrix(number, block, _FUSED)[1] - query_values, query_values)
    # Where a block has no matrix for its values, the keys are its values too, and kept twice.
    values = _VALUES if _VALUES in block else _KEYS
    kept = sum(matrix(number, block, each)[1] for each in (_KEYS, values))
    return AttentionValues(kept, query_values)


def _latent(number: int, block: Block, of: Hyperparameters) -> AttentionValues:
    """Multi-head latent attention: one vector is kept, which serves all heads as key and value."""
    if "attn_k_b.weight" not in block:
        raise Untold("its latent attention is kept unfolded, as old files have it")
    rank = of.count("attention.kv_lora_rank")
    _, kept = matrix(number, block, _LATENT)
    heads = of.of_block("attention.head_count", number)
    # A score takes all of the vector, a value the part of it that is not its place.
    return AttentionValues(kept, heads * (kept + rank) // 2)
