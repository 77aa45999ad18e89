"""llama.cpp tried: a small product with weights of each type on each code path.

Run as `python -m odllm_agent.builds.llama_cpp`, it says before each product what it will try, and
after it how far off the values were; whoever started it knows by that what ended it. The values are
set against the product of the same quantized weights, widened by gguf-py's own code where it has
the type, and otherwise by ggml's plain code.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from odllm_agent.builds.lines import asked, say
from odllm_agent.contract import PLAIN, Failure, Outcome, PathTest
from odllm_agent.engines.llama_cpp.ggml import layout, layout_name, type_number, value_bytes
from odllm_agent.engines.llama_cpp.ggml_product import Product
from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.errors import OdllmError
from odllm_agent.formats.file_types import UNQUANTIZED
from odllm_agent.formats.header import block_size
from odllm_agent.processes.child import end_with_parent

TYPES = (
    *("F32", "F16", "BF16"),
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
    *("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"),
    *("TQ1_0", "TQ2_0", "MXFP4", "Q1_0", "Q2_0"),
)
"""The types that weights of a file may have, by ggml's names."""

MOST_ERROR = 5e-4
"""The most that a product may be off: the squared error, as a fraction of the squared values.

llama.cpp's own tests of its backends (test-backend-ops) allow its products the same; rounding the
activations to 8 bits, as every quantized type asks for, makes 3e-5.
"""

# Two blocks of the longest kind in a row, and rows enough for the tiles of every layout.
_COLUMNS, _ROWS = 512, 64
# A single token is multiplied by other code than many, and these are no whole number of tiles.
_TOKENS = (1, 37)
# ggml takes seconds to get ready for quantizing to these. Every pattern of their bits is some
# weights, if only the scale of a block is a number; ggml-common.h tells where that lies.
_ANY_BITS = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"})
_SCALE = 0.125


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Weights of one type, as a file has them and as they are meant."""

    raw: bytes
    values: NDArray[np.float64]


def main() -> None:
    """Tries every type on every code path of which nothing is known yet."""
    threads, known, _ = asked(sys.argv[1:])
    end_with_parent()
    try:
        # A newer ggml than its bindings may know a type whose number they do not name.
        for type_name in (each for each in TYPES if type_number(each) is not None):
            for path in _paths(type_name):
                if (type_name, path) not in known:
                    say(PathTest.begun(type_name, path))
                    say(_tried(type_name, path, threads))
    except OdllmError as error:
        say(Failure.of(error))


def _paths(type_name: str) -> Iterator[str]:
    found = layout(type_name, (_COLUMNS, _ROWS))
    if found is not None:
        yield layout_name(found)
    yield PLAIN


def _tried(type_name: str, path: str, threads: int) -> PathTest:
    matrix = _matrix(type_name)
    errors = [
        _error(type_name, matrix, tokens, count, repack=path != PLAIN)
        for tokens, count in product(_TOKENS, sorted({1, threads}))
    ]
    # The largest of numbers of which one is none is not always none.
    worst = max(error if np.isfinite(error) else np.inf for error in errors)
    if worst <= MOST_ERROR:
        return PathTest(type_name, path, Outcome.RIGHT)
    told = f"off by {worst:.1g} of the squared values, where {MOST_ERROR:g} is allowed"
    return PathTest(type_name, path, Outcome.WRONG, told)


def _error(type_name: str, matrix: _Matrix, tokens: int, threads: int, *, repack: bool) -> float:
    chance = np.random.default_rng(tokens)
    activations = chance.standard_normal((tokens, _COLUMNS), dtype=np.float32)
    shape = (_COLUMNS, _ROWS)
    with Product(type_name, shape, tokens, threads, repack=repack, weights=matrix.raw) as computing:
        raw = computing.multiply(activations.tobytes())
    found = np.frombuffer(raw, np.float32).reshape(tokens, _ROWS)
    wanted = activations.astype(np.float64) @ matrix.values.T
    return float(np.sum((found - wanted) ** 2) / np.sum(wanted**2))


def _matrix(type_name: str) -> _Matrix:
    chance = np.random.default_rng(_COLUMNS)
    values = chance.standard_normal((_ROWS, _COLUMNS), dtype=np.float32)
    if type_name in UNQUANTIZED:
        raw = gguf.quantize(values, GGMLQuantizationType[type_name])
    elif type_name in _ANY_BITS:
        raw = _blocks(type_name, chance)
    else:
        raw = np.frombuffer(_quantized(type_name, values), np.uint8).reshape(_ROWS, -1)
    return _Matrix(raw.tobytes(), _dequantized(type_name, raw).astype(np.float64))


def _dequantized(type_name: str, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the weights mean, by code that is not what is tried."""
    try:
        read: NDArray[np.float32] = gguf.dequantize(raw, GGMLQuantizationType[type_name])
    except (KeyError, NotImplementedError):
        read = np.empty((_ROWS, _COLUMNS), np.float32)
        takes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        plain = bound("ggml-base", f"dequantize_row_{type_name.lower()}", None, *takes)
        plain(np.ascontiguousarray(raw).ctypes.data, read.ctypes.data, read.size)
    return read


def _blocks(type_name: str, chance: np.random.Generator) -> NDArray[np.uint8]:
    """Rows of random bits, each block with the same scale."""
    block, block_bytes = block_size(type_name)
    blocks = chance.integers(0, 256, (_ROWS * _COLUMNS // block, block_bytes), np.uint8)
    scale = np.frombuffer(np.float16(_SCALE).tobytes(), np.uint8)
    if type_name == "IQ1_M":
        # The scale's four digits are the first of four numbers at the end.
        digits = np.array([scale[0] & 15, scale[0] >> 4, scale[1] & 15, scale[1] >> 4], np.uint8)
        blocks[:, -7::2] = (blocks[:, -7::2] & 15) | (digits << 4)
    else:
        blocks[:, :2] = scale
    return blocks.reshape(_ROWS, -1)


def _quantized(type_name: str, values: NDArray[np.float32]) -> bytes:
    """Rows as ggml's own plain code quantizes them; some types want to know what matters."""
    target = ctypes.create_string_buffer(int(values.size * value_bytes(type_name)))
    matters = np.ones(values.shape[1], np.float32)
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    bound(
        *("ggml-base", "ggml_quantize_chunk", ctypes.c_size_t),
        *(ctypes.c_int, pointer, pointer, count, count, count, pointer),
    )(type_number(type_name), values.ctypes.data, target, 0, *values.shape, matters.ctypes.data)
    return target.raw


if __name__ == "__main__":
    main()
    # As a worker does; what a library does at its end is no part of what is tried.
    sys.stdout.flush()
    os._exit(0)
