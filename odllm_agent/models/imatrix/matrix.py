"""An importance matrix: how large the activations are that each column of a weight matrix meets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from odllm_agent.errors import UsageError
from odllm_agent.formats.header import Header, Tensor

_SHOWN = 3


@dataclass(frozen=True)
class Matrix:
    """What is known of the activations that the matrices of a model meet.

    Attributes:
        values: Mean squares of the activations by tensor: one for each column, of each expert one
            after another where there are several.
        datasets: The texts that the model read meanwhile, by what whoever made it called them.
        n_windows: How many windows of them; 0 if that is not known.
    """

    values: Mapping[str, NDArray[np.float32]]
    datasets: tuple[str, ...] = ()
    n_windows: int = 0

    @cached_property
    def sha256(self) -> str:
        """A checksum of the values, whatever file they come in."""
        digest = hashlib.sha256()
        for name, values in sorted(self.values.items()):
            digest.update(f"{name} {values.size} ".encode())
            digest.update(values.astype("<f4").tobytes())
        return digest.hexdigest()


def means(sums: NDArray[np.floating], counts: NDArray[np.number]) -> NDArray[np.float32]:
    """Mean squares of one tensor; 1 for an expert that no token came to, as llama.cpp has it.

    Args:
        sums: Sums of squares, those of each expert one after another.
        counts: How many activations each expert met.
    """
    by_expert, counted = sums.reshape(counts.size, -1), counts.reshape(-1, 1)
    found = np.divide(by_expert, counted, out=np.ones_like(by_expert), where=counted > 0)
    return np.ascontiguousarray(found.reshape(-1), np.float32)


def refuse_other_model(matrix: Matrix, place: str, model: Header) -> None:
    """Makes sure that an importance matrix is one of a model.

    Args:
        matrix: The matrix.
        place: Where it comes from.
        model: The model's header.

    Raises:
        UsageError: It speaks of tensors that the model does not have, or of others' sizes.
    """
    tensors = {tensor.name: tensor for tensor in model.tensors}
    unknown = sorted(matrix.values.keys() - tensors.keys())
    others = [
        f"{name} ({values.size:,} values instead of {_columns(tensors[name]):,})"
        for name, values in sorted(matrix.values.items())
        if name in tensors and values.size != _columns(tensors[name])
    ]
    if unknown or others:
        n_wrong = len(unknown) + len(others)
        raise UsageError(
            f"the importance matrix {place} is of another model than {model.path}: {n_wrong} of "
            f"its {len(matrix.values)} tensors do not fit, such as "
            f"{', '.join([*others, *unknown][:_SHOWN])}",
            "name the matrix that was made with this very model, or a text to make one from",
        )


def _columns(tensor: Tensor) -> int:
    """Columns of a tensor, of all its experts together."""
    return tensor.shape[0] * (tensor.shape[2] if len(tensor.shape) > 2 else 1)
