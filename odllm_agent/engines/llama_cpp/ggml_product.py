"""A product of matrices that ggml computes on the CPU, as llama.cpp has it computed."""

import contextlib
import ctypes

from odllm_agent.engines.llama_cpp.ggml import (
    NEW_TENSOR,
    POINTERS,
    InitParams,
    layout,
    pointer,
    type_number,
    value_bytes,
)
from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.errors import EngineError

_TENSORS_BYTES = 2**16
_SUCCESS = 0  # GGML_STATUS_SUCCESS of ggml.h


class Product:
    """Weights times activations; both are zero until told, which takes as long as any others.

    The weights are laid out anew where the CPU does so for their type and shape.

    Args:
        type_name: ggml's name of the type of the weights.
        shape: The dimensions of their matrix, the length of a row first.
        tokens: The columns of activations that it is multiplied with.
        threads: The threads that compute.
        repack: Whether the weights may be laid out anew.
        weights: Their bytes as in a file, or `None` for zeros.

    Raises:
        EngineError: ggml has no such type, or no room for the matrices.
    """

    def __init__(
        self,
        type_name: str,
        shape: tuple[int, int],
        tokens: int,
        threads: int,
        *,
        repack: bool = True,
        weights: bytes | None = None,
    ) -> None:
        if type_number(type_name) is None:
            raise EngineError(
                f"ggml has no type {type_name}", "update llama-cpp-python, or leave the type out"
            )
        self._held = contextlib.ExitStack()
        self._backend = self._new_backend(threads)
        buffers = (layout(type_name, shape) if repack else None) or _plain_buffers()
        raw = weights or bytes(int(shape[0] * shape[1] * value_bytes(type_name)))
        self._activations, self._product = 0, 0
        self._result_bytes = shape[1] * tokens * ctypes.sizeof(ctypes.c_float)
        self._graph = self._new_graph(
            self._new_weights(type_name, shape, buffers, raw), shape[0], tokens
        )

    def __enter__(self) -> "Product":
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def multiply(self, activations: bytes) -> bytes:
        """The product with activations, both as 32-bit floats, a token after the other.

        Raises:
            EngineError: ggml fails.
        """
        takes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t)
        give = bound("ggml-base", "ggml_backend_tensor_set", None, *takes)
        give(self._activations, activations, 0, len(activations))
        self.compute()
        result = ctypes.create_string_buffer(self._result_bytes)
        take = bound("ggml-base", "ggml_backend_tensor_get", None, *takes)
        take(self._product, result, 0, self._result_bytes)
        return result.raw

    def compute(self) -> None:
        """Computes it once.

        Raises:
            EngineError: ggml fails.
        """
        compute = bound("ggml-base", "ggml_backend_graph_compute", ctypes.c_int, *POINTERS[:2])
        status = compute(self._backend, self._graph)
        if status != _SUCCESS:
            raise EngineError(f"ggml_backend_graph_compute answered {status}")

    def _new_backend(self, threads: int) -> int:
        backend = self._hold(pointer("ggml-cpu", "ggml_backend_cpu_init")(), "ggml_backend_free")
        takes = (ctypes.c_void_p, ctypes.c_int)
        bound("ggml-cpu", "ggml_backend_cpu_set_n_threads", None, *takes)(backend, threads)
        return backend

    def _new_weights(self, type_name: str, shape: tuple[int, int], buffers: int, raw: bytes) -> int:
        context = self._new_context(_TENSORS_BYTES)
        weights: int = _new_tensor(context, type_name, shape)
        self._allocate(context, buffers)
        # Set through ggml, which lays them out on the way.
        takes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t)
        bound("ggml-base", "ggml_backend_tensor_set", None, *takes)(weights, raw, 0, len(raw))
        return weights

    def _new_graph(self, weights: int, width: int, tokens: int) -> int:
        graph_bytes = bound("ggml-base", "ggml_graph_overhead", ctypes.c_size_t)()
        context = self._new_context(_TENSORS_BYTES + graph_bytes)
        self._activations = _new_tensor(context, "F32", (width, tokens))
        multiply = pointer("ggml-base", "ggml_mul_mat", *POINTERS)
        self._product = multiply(context, weights, self._activations)
        graph: int = pointer("ggml-base", "ggml_new_graph", ctypes.c_void_p)(context)
        bound("ggml-base", "ggml_build_forward_expand", None, *POINTERS[:2])(graph, self._product)
        buffer = self._allocate(context, _plain_buffers())
        takes = (ctypes.c_void_p, ctypes.c_uint8)
        bound("ggml-base", "ggml_backend_buffer_clear", None, *takes)(buffer, 0)
        return graph

    def _new_context(self, n_bytes: int) -> int:
        made = pointer("ggml-base", "ggml_init", InitParams)(InitParams(n_bytes, None, True))
        return self._hold(made, "ggml_free")

    def _allocate(self, context: int, buffers: int) -> int:
        """The memory of all tensors of a context."""
        allocate = pointer("ggml-base", "ggml_backend_alloc_ctx_tensors_from_buft", *POINTERS[:2])
        return self._hold(allocate(context, buffers), "ggml_backend_buffer_free")

    def _hold(self, address: int | None, free: str) -> int:
        if not address:
            raise EngineError("ggml has no room for the matrices", "close other programs")
        self._held.callback(bound("ggml-base", free, None, ctypes.c_void_p), address)
        return address


def _new_tensor(context: int, type_name: str, shape: tuple[int, int]) -> int:
    new = pointer("ggml-base", "ggml_new_tensor_2d", *NEW_TENSOR)
    made: int = new(context, type_number(type_name), *shape)
    return made


def _plain_buffers() -> int:
    """The buffer type in which tensors lie as they are."""
    found: int = pointer("ggml-base", "ggml_backend_cpu_buffer_type")()
    return found
