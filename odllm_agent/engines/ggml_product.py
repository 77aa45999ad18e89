"""A product of matrices that ggml computes on the CPU, as llama.cpp has it computed."""

import ctypes

from odllm_agent.engines.ggml import (
    NEW_TENSOR,
    POINTERS,
    InitParams,
    layout,
    pointer,
    type_number,
    value_bytes,
)
from odllm_agent.engines.native import bound
from odllm_agent.engines.native import llama as native
from odllm_agent.errors import EngineError

_TENSORS_BYTES = 2**16
_SUCCESS = 0  # GGML_STATUS_SUCCESS of ggml.h


class Product:
    """Weights of zero times activations of zero, which take as long as any others.

    The weights are laid out anew where the CPU does so for their type and shape.

    Args:
        type_name: ggml's name of the type of the weights.
        shape: The dimensions of their matrix, the length of a row first.
        tokens: The columns of activations that it is multiplied with.
        threads: The threads that compute.

    Raises:
        EngineError: ggml has no such type, or no room for the matrices.
    """

    def __init__(self, type_name: str, shape: tuple[int, int], tokens: int, threads: int) -> None:
        kind = type_number(type_name)
        if kind is None:
            raise EngineError(
                f"ggml has no type {type_name}", "update llama-cpp-python, or leave the type out"
            )
        self._to_free: list[tuple[str, int]] = []
        self._backend = pointer("ggml-cpu", "ggml_backend_cpu_init")()
        self._to_free.append(("ggml_backend_free", self._backend))
        set_threads = bound(
            "ggml-cpu", "ggml_backend_cpu_set_n_threads", None, ctypes.c_void_p, ctypes.c_int
        )
        set_threads(self._backend, threads)
        new = pointer("ggml-base", "ggml_new_tensor_2d", *NEW_TENSOR)
        weights_context = self._context(_TENSORS_BYTES)
        weights = new(weights_context, kind, *shape)
        plain = pointer("ggml-base", "ggml_backend_cpu_buffer_type")()
        self._allocate(weights_context, layout(type_name, shape) or plain)
        _fill_with_zeros(weights, int(shape[0] * shape[1] * value_bytes(type_name)))
        graph_bytes = bound("ggml-base", "ggml_graph_overhead", ctypes.c_size_t)()
        context = self._context(_TENSORS_BYTES + graph_bytes)
        activations = new(context, native.GGML_TYPE_F32, shape[0], tokens)
        product = pointer("ggml-base", "ggml_mul_mat", *POINTERS)(context, weights, activations)
        self._graph = pointer("ggml-base", "ggml_new_graph", ctypes.c_void_p)(context)
        expand = bound("ggml-base", "ggml_build_forward_expand", None, *POINTERS[:2])
        expand(self._graph, product)
        self._clear(self._allocate(context, plain))

    def __enter__(self) -> "Product":
        return self

    def __exit__(self, *_: object) -> None:
        while self._to_free:
            name, address = self._to_free.pop()
            bound("ggml-base", name, None, ctypes.c_void_p)(address)

    def compute(self) -> None:
        """Computes it once.

        Raises:
            EngineError: ggml fails.
        """
        compute = bound("ggml-base", "ggml_backend_graph_compute", ctypes.c_int, *POINTERS[:2])
        status = compute(self._backend, self._graph)
        if status != _SUCCESS:
            raise EngineError(f"ggml_backend_graph_compute answered {status}")

    def _context(self, n_bytes: int) -> int:
        made: int = pointer("ggml-base", "ggml_init", InitParams)(InitParams(n_bytes, None, True))
        self._to_free.append(("ggml_free", made))
        return made

    def _allocate(self, context: int, buffer_type: int) -> int:
        allocate = pointer("ggml-base", "ggml_backend_alloc_ctx_tensors_from_buft", *POINTERS[:2])
        buffer: int | None = allocate(context, buffer_type)
        if not buffer:
            raise EngineError("ggml has no room for the matrices", "close other programs")
        self._to_free.append(("ggml_backend_buffer_free", buffer))
        return buffer

    def _clear(self, buffer: int) -> None:
        clear = bound(
            "ggml-base", "ggml_backend_buffer_clear", None, ctypes.c_void_p, ctypes.c_uint8
        )
        clear(buffer, 0)


def _fill_with_zeros(tensor: int, n_bytes: int) -> None:
    """Sets weights through ggml, which lays them out on the way."""
    zeros = bytes(n_bytes)
    takes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t)
    bound("ggml-base", "ggml_backend_tensor_set", None, *takes)(tensor, zeros, 0, n_bytes)
