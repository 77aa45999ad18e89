"""The tensors of a model by the block that they stand in."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from odllm_agent.formats.header import Tensor

_BLOCK = re.compile(r"blk\.(?P<number>[0-9]+)\.", re.ASCII)

Block = Mapping[str, Tensor]
"""The tensors of one block by their names in it, such as `attn_q.weight`."""


class Untold(Exception):
    """Something of a model is of a kind whose cost is not known here; the reason is its text."""


def block_of(name: str) -> int | None:
    """The number of the block that a tensor of this name stands in, or `None` if in none."""
    found = _BLOCK.match(name)
    return int(found["number"]) if found else None


def name_within(name: str) -> str:
    """A tensor's name in its block, or all of it if it stands in none."""
    return _BLOCK.sub("", name)


def blocks(tensors: Iterable[Tensor]) -> dict[int, Block]:
    """The tensors of each block, in the order of the blocks."""
    found: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for tensor in tensors:
        number = block_of(tensor.name)
        if number is not None:
            found[number][name_within(tensor.name)] = tensor
    return dict(sorted(found.items()))


def matrix(number: int, block: Block, name: str) -> tuple[int, int]:
    """The shape of a matrix of a block, the length of a row first.

    Raises:
        Untold: There is no such matrix.
    """
    shape = block[name].shape if name in block else ()
    if len(shape) != 2:
        raise Untold(f"its block {number} is of a kind not known here: it has no {name}")
    length, rows = shape
    return length, rows
