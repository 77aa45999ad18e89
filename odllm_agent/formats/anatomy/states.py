"""What blocks keep of all tokens before, in a place of fixed size, instead of keys and values.

The sizes are those of llama.cpp's `n_embd_r` and `n_embd_s`: the last inputs of a convolution, and
what a recurrence carries on. Both are F32.
"""

from collections.abc import Mapping

from odllm_agent.formats.anatomy.blocks import Block, Untold, matrix
from odllm_agent.formats.hyperparameters import Hyperparameters

_VALUE_BYTES = 4
_SHORT_CONVOLUTION = "shortconv.conv.weight"
_STATE_SPACE = "ssm_conv1d.weight"
_RWKV = "time_mix_"
_TOKEN_SHIFTS = 2


def state_bytes(blocks: Mapping[int, Block], of: Hyperparameters) -> int:
    """The bytes of the states of all blocks.

    Raises:
        Untold: A block keeps something of a kind not known here.
    """
    return _VALUE_BYTES * sum(_values(number, block, of) for number, block in blocks.items())


def _values(number: int, block: Block, of: Hyperparameters) -> int:
    if _SHORT_CONVOLUTION in block:
        length, width = matrix(number, block, _SHORT_CONVOLUTION)
        return (length - 1) * width
    if _STATE_SPACE in block:
        return _state_space_values(of)
    if any(name.startswith(_RWKV) for name in block):
        shifts = of.count("token_shift_count", _TOKEN_SHIFTS)
        return (shifts + of.count("wkv.head_size")) * of.count("embedding_length")
    known = ("attn_output.weight", "ffn_")
    if not any(name.startswith(known) for name in block):
        raise Untold(f"its block {number} is of a kind not known here")
    return 0


def _state_space_values(of: Hyperparameters) -> int:
    """Of Mamba, Mamba-2 and the gated delta rule."""
    inner, state = of.count("ssm.inner_size"), of.count("ssm.state_size")
    convolved = inner + 2 * of.count("ssm.group_count") * state
    return (of.count("ssm.conv_kernel") - 1) * convolved + state * inner
