"""What ggml does with weights of a type on this processor, asked through its own functions."""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.engines.llama_cpp.native import llama as native

_CPU = 0  # GGML_BACKEND_DEVICE_TYPE_CPU of ggml-backend.h
# Types of ggml.h whose numbers llama-cpp-python does not bind.
_UNBOUND = {"BF16": 30, "TQ1_0": 34, "TQ2_0": 35}
_ASKED_TOKENS = 512  # of the activations that llama.cpp asks with


@cache
def is_repacked(type_name: str, shape: tuple[int, ...]) -> bool:
    """Whether the CPU multiplies with a copy of a matrix that is laid out anew for it.

    ggml is asked as llama.cpp asks when it chooses a buffer for a weight (`weight_buft_supported`):
    a product with the matrix is described, the matrix is said to lie in a buffer of such a layout,
    and the CPU is asked whether it would compute that.

    Args:
        type_name: ggml's name of the type of the weights.
        shape: The dimensions of the tensor, the length of a row first; of experts three, their
            number last.
    """
    return layout(type_name, shape) is not None


@cache
def repacked_bytes(type_name: str, shape: tuple[int, ...]) -> int | None:
    """The bytes of such a copy of a matrix, or `None` if there is none.

    A layout may keep more than the weights, such as sums that AMX needs beside them.

    Args:
        type_name: ggml's name of the type of the weights.
        shape: The dimensions of the tensor, the length of a row first.
    """
    place = layout(type_name, shape)
    if place is None:
        return None
    ask = bound("ggml-base", "ggml_backend_buft_get_alloc_size", ctypes.c_size_t, *POINTERS[:2])
    context = pointer("ggml-base", "ggml_init", InitParams)(InitParams(2**16, None, True))
    try:
        return int(ask(place, _new(context, type_number(type_name), *shape)))
    finally:
        bound("ggml-base", "ggml_free", None, ctypes.c_void_p)(context)


def layout(type_name: str, shape: tuple[int, ...]) -> int | None:
    """The buffer type in which the CPU keeps such a copy of a matrix, or `None` if it keeps none.

    See `is_repacked`.
    """
    kind = type_number(type_name)
    if kind is None or len(shape) not in {2, 3}:
        return None
    cpu = pointer("ggml", "ggml_backend_dev_by_type", ctypes.c_int)(_CPU)
    taking = (each for each in _layouts(cpu) if _layout_takes(cpu, each, kind, shape))
    return next(taking, None)


def layout_name(layout: int) -> str:
    """A short name of a layout, such as `repack` or `amx`, from that of its buffers."""
    name = bound("ggml-base", "ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)(layout)
    return str(name.decode()).removeprefix("CPU_").lower()


def type_number(type_name: str) -> int | None:
    """The number that ggml has for a type of that name, or `None` if it has none."""
    name = type_name.upper()
    found: int | None = getattr(native, f"GGML_TYPE_{name}", _UNBOUND.get(name))
    return found


def _layout_takes(cpu: int, layout: int, kind: int, shape: tuple[int, ...]) -> bool:
    context = pointer("ggml-base", "ggml_init", InitParams)(InitParams(2**16, None, True))
    buffer = pointer(
        "ggml-base", "ggml_backend_buft_alloc_buffer", ctypes.c_void_p, ctypes.c_size_t
    )(layout, 0)
    try:
        matrix = _new(context, kind, *shape)
        _TensorStart.from_address(matrix).buffer = buffer
        product = _product(context, matrix, shape)
        return bool(
            bound("ggml-base", "ggml_backend_dev_supports_op", ctypes.c_bool, *POINTERS[:2])(
                cpu, product
            )
        )
    finally:
        bound("ggml-base", "ggml_backend_buffer_free", None, ctypes.c_void_p)(buffer)
        bound("ggml-base", "ggml_free", None, ctypes.c_void_p)(context)


def _product(context: int, matrix: int, shape: tuple[int, ...]) -> int:
    """A product with a matrix, or of each token with one of several experts."""
    f32, i32 = native.GGML_TYPE_F32, native.GGML_TYPE_I32
    if len(shape) == 2:
        activations = _new(context, f32, shape[0], _ASKED_TOKENS)
        return int(pointer("ggml-base", "ggml_mul_mat", *POINTERS)(context, matrix, activations))
    activations = _new(context, f32, shape[0], 1, _ASKED_TOKENS)
    chosen = _new(context, i32, 1, _ASKED_TOKENS)
    multiply = pointer("ggml-base", "ggml_mul_mat_id", *POINTERS, ctypes.c_void_p)
    return int(multiply(context, matrix, activations, chosen))


def _new(context: int, kind: int | None, *shape: int) -> int:
    """A tensor that is described and holds nothing."""
    lengths = [ctypes.c_int64] * len(shape)
    make = pointer(
        "ggml-base", f"ggml_new_tensor_{len(shape)}d", ctypes.c_void_p, ctypes.c_int, *lengths
    )
    return int(make(context, kind, *shape))


def _layouts(cpu: int) -> list[int]:
    """The buffer types of the CPU that lay weights out anew."""
    registry = pointer("ggml-base", "ggml_backend_dev_backend_reg", ctypes.c_void_p)(cpu)
    ask = pointer(
        "ggml-base", "ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_char_p
    )
    address = ask(registry, b"ggml_backend_dev_get_extra_bufts")
    if not address:
        return []
    listed = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(cpu)
    found: list[int] = []
    while listed and listed[len(found)]:
        found.append(listed[len(found)])
    return found


@cache
def activation_bytes(type_name: str) -> float:
    """The bytes of an activation that is converted to meet weights of a type, 0 if none is.

    Args:
        type_name: ggml's name of the type of the weights, such as `Q4_K`.
    """
    kind = type_number(type_name)
    if kind is None:
        return 0.0
    met_in = _traits(kind).vec_dot_type
    return 0.0 if met_in == native.GGML_TYPE_F32 else _value_bytes(met_in)


def value_bytes(type_name: str) -> float:
    """The bytes that a value of a type takes in the mean, scales included.

    Args:
        type_name: ggml's name of the type, one that it has.
    """
    kind = type_number(type_name)
    assert kind is not None, type_name  # noqa: S101 - a type that ggml has
    return _value_bytes(kind)


def dot_product(type_name: str) -> Callable[[int, int, int], float]:
    """The dot product on the CPU; it takes a number of values and the addresses of two vectors.

    Args:
        type_name: ggml's name of the type of the vectors, one whose values meet their own type.
    """
    bound("ggml-cpu", "ggml_cpu_init", None)()
    dot = _VEC_DOT(_traits(type_number(type_name) or 0).vec_dot)

    def compute(n_values: int, first: int, second: int) -> float:
        found = ctypes.c_float()
        dot(n_values, found, 0, first, 0, second, 0, 1)
        return found.value

    return compute


def _value_bytes(kind: int) -> float:
    block_bytes = bound("ggml-base", "ggml_type_size", ctypes.c_size_t, ctypes.c_int)
    block = bound("ggml-base", "ggml_blck_size", ctypes.c_int64, ctypes.c_int)
    return float(block_bytes(kind) / block(kind))


def _traits(kind: int) -> "_CpuTraits":
    ask = bound("ggml-cpu", "ggml_get_type_traits_cpu", ctypes.POINTER(_CpuTraits), ctypes.c_int)
    found: _CpuTraits = ask(kind).contents
    return found


class InitParams(ctypes.Structure):
    """`ggml_init_params` of ggml.h."""

    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


class _CpuTraits(ctypes.Structure):
    """`ggml_type_traits_cpu` of ggml-cpu.h."""

    _fields_ = (
        ("from_float", ctypes.c_void_p),
        ("vec_dot", ctypes.c_void_p),
        ("vec_dot_type", ctypes.c_int),
        ("nrows", ctypes.c_int64),
    )


# `ggml_vec_dot_t` of ggml-cpu.h.
_VEC_DOT = ctypes.CFUNCTYPE(
    None,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_float),
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
)


class _TensorStart(ctypes.Structure):
    """The start of `ggml_tensor` of ggml.h."""

    _fields_ = (("type", ctypes.c_int), ("buffer", ctypes.c_void_p))


POINTERS = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
NEW_TENSOR = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def pointer(library: str, name: str, *takes: object) -> Any:
    """A function that answers with an address; see `bound`."""
    return bound(library, name, ctypes.c_void_p, *takes)
