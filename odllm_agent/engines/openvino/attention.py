"""The two forms of a model for OpenVINO: how the keys and values of earlier tokens are kept.

The stateful form is the one that models are exported in: keys and values are a state inside of a
request. The paged form is made of it by OpenVINO's own transformation, as openvino-genai's
pipelines do by default: keys and values are tensors of blocks that the caller owns and numbers.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino._offline_transformations import paged_attention_transformation

from odllm_agent.engines.openvino.error import last_line
from odllm_agent.errors import EngineError

_KEYS, _VALUES = "key_cache.", "value_cache."


class Attention(Protocol):
    """A request's keys and values of the tokens that it has computed.

    Attributes:
        inputs: The names of the inputs that a graph of this form has, those of blocks left out.
        tokens_axis: The axis of token ids along which the tokens of a sequence lie.
    """

    inputs: ClassVar[frozenset[str]]
    tokens_axis: ClassVar[int]

    @staticmethod
    def transform(model: openvino.Model) -> None:
        """Gives a graph, as exported, this form.

        Raises:
            RuntimeError: It cannot be had of this graph.
        """

    def clear(self) -> None:
        """Forgets all tokens."""

    def cut(self, n_tokens: int) -> bool:
        """Forgets all tokens but the first ones; answers whether that can be done."""

    def lengthen(self, n_new: int, n_tokens: int, /) -> None:
        """Says that the next run adds `n_new` tokens, so that there are `n_tokens`."""


class Stateful:
    """Keys and values as a state inside of the request, which grows with it.

    Args:
        request: The request.
        context_tokens: The most tokens.
    """

    inputs: ClassVar[frozenset[str]] = frozenset(
        {"input_ids", "attention_mask", "position_ids", "beam_idx"}
    )
    tokens_axis: ClassVar[int] = 1

    @staticmethod
    def transform(model: openvino.Model) -> None:
        """Leaves the graph as it is."""

    def __init__(self, request: openvino.InferRequest, context_tokens: int, *_: object) -> None:
        self._request = request
        # Of ones for the whole context; only its shape changes.
        self._mask = openvino.Tensor(openvino.Type.i64, [1, context_tokens])
        self._mask.data[:] = 1
        request.set_tensor("attention_mask", self._mask)
        request.set_tensor("beam_idx", openvino.Tensor(np.zeros(1, np.int32)))

    def clear(self) -> None:
        """Forgets all tokens."""
        self._request.reset_state()

    def cut(self, n_tokens: int) -> bool:
        """Forgets all tokens but the first ones; answers whether that can be done."""
        states = self._request.query_state()
        # Keys and values, of shape (batch, heads, tokens, width); other states cannot be cut.
        if any(len(each.state.shape) != 4 for each in states):
            return False
        for each in states:
            each.state = openvino.Tensor(np.ascontiguousarray(each.state.data[:, :, :n_tokens]))
        return True

    def lengthen(self, _n_new: int, n_tokens: int, /) -> None:
        """Says how many tokens there are with those of the next run."""
        self._mask.shape = (1, n_tokens)


class Paged:
    """Keys and values in blocks that are allocated for the whole context and used in order.

    Args:
        request: The request.
        context_tokens: The most tokens.
        core: What the request's model was compiled by.
        device: What computes.

    Raises:
        EngineError: There is no memory for the blocks.
    """

    inputs: ClassVar[frozenset[str]] = frozenset(
        {
            "input_ids",
            "position_ids",
            "past_lens",
            "subsequence_begins",
            "block_indices",
            "block_indices_begins",
            "max_context_len",
        }
    )
    tokens_axis: ClassVar[int] = 0

    @staticmethod
    def transform(model: openvino.Model) -> None:
        """Replaces the state by blocks.

        Raises:
            RuntimeError: OpenVINO's transformation does not know this graph.
        """
        paged_attention_transformation(model)

    def __init__(
        self, request: openvino.InferRequest, context_tokens: int, core: openvino.Core, device: str
    ) -> None:
        ports = cache_ports(request.get_compiled_model())
        n_blocks = -(-context_tokens // _block_tokens(ports))
        for name, port in ports.items():
            shape = [n_blocks, *(size.get_length() for size in port.partial_shape[1:])]
            request.set_tensor(name, _allocated(core, device, port.element_type, shape))
        # What the request is given are views of these, so they must live as long as it does.
        self._past_tokens = np.zeros(1, np.int32)
        self._new_tokens = np.zeros(2, np.int32)
        self._all_tokens = np.zeros((), np.int32)
        self._blocks = np.arange(n_blocks, dtype=np.int32)
        self._used_blocks = np.array([0, n_blocks], np.int32)
        for name, values in self._told().items():
            request.set_tensor(name, openvino.Tensor(values, shared_memory=True))

    def clear(self) -> None:
        """Forgets all tokens: what the blocks hold is behind the end of the next ones."""

    def cut(self, _n_tokens: int) -> bool:
        """Forgets all tokens but the first ones, in the same way."""
        return True

    def lengthen(self, n_new: int, n_tokens: int, /) -> None:
        """Says that the next run adds `n_new` tokens, so that there are `n_tokens`."""
        self._past_tokens[0] = n_tokens - n_new
        self._new_tokens[1] = n_new
        self._all_tokens[()] = n_tokens

    def _told(self) -> Mapping[str, NDArray[Any]]:
        return {
            "past_lens": self._past_tokens,
            "subsequence_begins": self._new_tokens,
            "max_context_len": self._all_tokens,
            "block_indices": self._blocks,
            "block_indices_begins": self._used_blocks,
        }


FORMS: Mapping[str, type[Stateful] | type[Paged]] = {"stateful": Stateful, "paged": Paged}
"""The forms by the setting that asks for them."""


def cache_ports(
    graph: openvino.Model | openvino.CompiledModel,
) -> dict[str, openvino.Output | openvino.ConstOutput]:
    """The inputs that are blocks of keys and values, by name; none in the stateful form."""
    return {
        port.any_name: port for port in graph.inputs if port.any_name.startswith((_KEYS, _VALUES))
    }


def token_bytes(ports: Mapping[str, openvino.ConstOutput]) -> float:
    """The bytes that a token takes in all blocks together, scales included."""
    block_bytes = sum(
        port.element_type.bitwidth / 8 * math.prod(s.get_length() for s in port.partial_shape[1:])
        for port in ports.values()
    )
    return float(block_bytes / _block_tokens(ports))


def _block_tokens(ports: Mapping[str, openvino.ConstOutput]) -> int:
    """The tokens of a block; keys may be laid out in another way, or with scales among them."""
    values = next(port for name, port in ports.items() if name.startswith(_VALUES))
    return int(values.partial_shape[2].get_length())


def _allocated(
    core: openvino.Core, device: str, kind: openvino.Type, shape: list[int]
) -> openvino.Tensor | openvino.RemoteTensor:
    try:
        if device == "CPU":
            return openvino.Tensor(kind, shape)
        return core.get_default_context(device).create_tensor(kind, openvino.Shape(shape), {})
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO allocates no {shape[0]:,} blocks of keys and values on {device}: "
            f"{last_line(error)}",
            "take a shorter workload, or a smaller kv_cache_precision",
        ) from error
