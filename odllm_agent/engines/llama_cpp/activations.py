"""What llama.cpp multiplies the weight matrices of a model with, seen while it computes.

llama.cpp asks a callback about every node of its graph, and computes up to each that is wanted
before it goes on, so that the node's inputs can be looked at. The struct is that of ggml.h.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.engines.llama_cpp.native import llama as native

_F32 = 0  # GGML_TYPE_F32 of ggml.h
_DIMENSIONS, _SOURCES, _OP_PARAMS, _NAME_BYTES = 4, 10, 16, 64

Take = Callable[[str, int, NDArray[np.float32], "NDArray[np.int32] | None"], None]
"""Takes a matrix's name, the number of matrices in it (its experts), its activations of shape
(tokens, inputs per token, columns), and the experts that each token goes to, of shape (tokens,
experts per token), or `None` where the matrix has none."""


class _Tensor(ctypes.Structure):
    """`ggml_tensor` up to its data and name."""


_Tensor._fields_ = (
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("shape", ctypes.c_int64 * _DIMENSIONS),
    ("stride_bytes", ctypes.c_size_t * _DIMENSIONS),
    ("operation", ctypes.c_int),
    ("operation_params", ctypes.c_int32 * _OP_PARAMS),
    ("flags", ctypes.c_int32),
    ("sources", ctypes.POINTER(_Tensor) * _SOURCES),
    ("view_source", ctypes.c_void_p),
    ("view_offset_bytes", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * _NAME_BYTES),
)


def watcher(take: Take) -> Any:
    """A callback for `cb_eval` of a context's parameters; it must live as long as the context.

    Args:
        take: Is given the activations of every matrix whose name begins with `blk.`; they are
            valid during the call only.
    """
    names = {"MUL_MAT", "MUL_MAT_ID"}
    name_of = bound("ggml-base", "ggml_op_name", ctypes.c_char_p, ctypes.c_int)

    def see(pointer: int, asks: bool, _: object) -> bool:
        node = ctypes.cast(pointer, ctypes.POINTER(_Tensor)).contents
        operation = name_of(node.operation).decode()
        if operation not in names:
            return not asks
        matrix, inputs = node.sources[0].contents, node.sources[1].contents
        if not matrix.name.startswith(b"blk.") or inputs.type != _F32:
            return not asks
        if not asks:
            experts = node.sources[2].contents if operation == "MUL_MAT_ID" else None
            routed = None if experts is None else _view(experts, np.dtype(np.int32))[0, 0]
            values = _view(inputs, np.dtype(np.float32))[0]
            # Of a matrix without experts every token is a row of its own.
            seen = values if experts is not None else values.reshape(-1, 1, values.shape[-1])
            take(matrix.name.decode(), int(matrix.shape[2]), seen, routed)
        return True

    return native.ggml_backend_sched_eval_callback(see)


def _view(tensor: _Tensor, kind: np.dtype[Any]) -> NDArray[Any]:
    """A tensor in the processor's own memory, its longest axis last, without a copy of it."""
    shape = tuple(reversed(tensor.shape))
    strides = tuple(reversed(tensor.stride_bytes))
    n_bytes = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    raw = (ctypes.c_uint8 * (n_bytes + kind.itemsize)).from_address(tensor.data)
    return np.ndarray(shape, kind, raw, strides=strides)
