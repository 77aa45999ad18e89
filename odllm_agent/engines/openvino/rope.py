"""The rotary frequencies of a GGUF file, put right in its converted form.

openvino-genai's reader leaves out the factors by which Llama 3.1 and 3.2 stretch them
(`rope_freqs.weight`), and of an F16 file it rounds them to f16, so that an angle is the further
off the later its token stands. Neither changes speed; both change what the model answers.
"""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13

from odllm_agent.engines.llama_cpp.native import bound

_Pointer = ctypes.c_void_p
_Text = ctypes.c_char_p
_Index = ctypes.c_int64
_DEFAULT_BASE = 10_000.0
_FACTORS = b"rope_freqs.weight"


class _InitParams(ctypes.Structure):
    """`gguf_init_params` of gguf.h."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class Rope:
    """How a model turns positions into angles.

    Attributes:
        base: Pair i of n rotates by position x base^(-i/n).
        factors: What each pair's frequency is divided by, shape (n,), or `None` for nothing.
    """

    base: float
    factors: NDArray[np.float32] | None = None

    def plain(self, n_pairs: int) -> NDArray[np.float64]:
        """The frequencies without factors, shape (n_pairs,)."""
        frequencies: NDArray[np.float64] = self.base ** (-np.arange(n_pairs) / n_pairs)
        return frequencies

    def frequencies(self, n_pairs: int) -> NDArray[np.float32]:
        """The frequencies, shape (n_pairs,)."""
        plain = self.plain(n_pairs)
        return (plain if self.factors is None else plain / self.factors).astype(np.float32)


def read_rope(path: Path) -> Rope:
    """What a GGUF file says of its rotary embedding.

    Raises:
        ValueError: It is no GGUF file, or asks for a scaling that is not known here.
    """
    opened = _call("gguf_init_from_file", _Pointer, _Text(str(path).encode()), _InitParams(True))
    if not opened:
        raise ValueError("it is no GGUF file")
    file = _Pointer(opened)
    architecture = _value(file, "general.architecture", _Text, b"").decode()
    scaling = _value(file, f"{architecture}.rope.scaling.type", _Text, b"none").decode()
    if scaling != "none":
        raise ValueError(f"the reader leaves out its rope scaling of type {scaling}")
    base = _value(file, f"{architecture}.rope.freq_base", ctypes.c_float, _DEFAULT_BASE)
    return Rope(base, _factors(file, path))


def put_right(model: openvino.Model, rope: Rope) -> bool:
    """Makes the frequencies in a converted model those of its file.

    Returns:
        Whether they were others.

    Raises:
        ValueError: The converted model does not rotate as it should.
    """
    constants = [op for op in model.get_ops() if op.get_type_name() == "Constant"]
    found = [constant for constant in constants if _holds(constant, rope)]
    if not found:
        raise ValueError("its converted form holds no rotary frequencies of its own")
    wrong = [constant for constant in found if not _is_right(constant, rope)]
    for constant in wrong:
        n_pairs = constant.shape[1]
        right = opset13.constant(rope.frequencies(n_pairs).reshape(1, n_pairs, 1))
        _replace(constant, right)
    return bool(wrong)


def _factors(file: _Pointer, path: Path) -> NDArray[np.float32] | None:
    tensor = _Index(_call("gguf_find_tensor", ctypes.c_int64, file, _Text(_FACTORS)))
    if tensor.value < 0:
        return None
    start = _call("gguf_get_data_offset", ctypes.c_size_t, file)
    start += _call("gguf_get_tensor_offset", ctypes.c_size_t, file, tensor)
    n_bytes = _call("gguf_get_tensor_size", ctypes.c_size_t, file, tensor)
    with path.open("rb") as content:
        content.seek(start)
        return np.frombuffer(content.read(n_bytes), np.float32)


def _holds(constant: openvino.Node, rope: Rope) -> bool:
    """Whether a constant holds rotary frequencies, rounded or not, without their factors."""
    shape = list(constant.shape)
    if len(shape) != 3 or shape[0] != 1 or shape[2] != 1 or shape[1] < 2:
        return False
    values = constant.data.flatten().astype(np.float64)
    # Below this f16 has ever fewer digits.
    return bool(np.allclose(values, rope.plain(shape[1]), rtol=1e-3, atol=1e-7))


def _is_right(constant: openvino.Node, rope: Rope) -> bool:
    values = constant.data.flatten()
    return values.dtype == np.float32 and bool(
        np.allclose(values, rope.frequencies(len(values)), rtol=1e-6)
    )


def _replace(constant: openvino.Node, right: openvino.Node) -> None:
    """Puts a constant in the place of another and of the conversion that follows it."""
    (first, *_) = constant.output(0).get_target_inputs()
    user = first.get_node()
    replaced = user if user.get_type_name() == "Convert" else constant
    for target in replaced.output(0).get_target_inputs():
        target.replace_source_output(right.output(0))


def _value(file: _Pointer, key: str, kind: type[Any], default: object) -> Any:
    """The value of a metadata key, or the default where there is none."""
    place = _Index(_call("gguf_find_key", ctypes.c_int64, file, _Text(key.encode())))
    if place.value < 0:
        return default
    name = {_Text: "gguf_get_val_str", ctypes.c_float: "gguf_get_val_f32"}[kind]
    return _call(name, kind, file, place)


def _call(name: str, returns: object, *arguments: object) -> Any:
    """Calls one of ggml's functions that llama-cpp-python ships but does not bind."""
    return bound("ggml-base", name, returns, *map(type, arguments))(*arguments)
