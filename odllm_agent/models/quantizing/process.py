"""The process: `python -m odllm_agent.models.quantizing.process SOURCE TARGET`, and what to do.

`--make=QUANTIZATION` makes a file, with `--threads=N` threads, which llama.cpp chooses unless told,
by the importance matrix of `--imatrix=FILE`, of a source that is quantized with `--requantize`;
with `--dry-run` it only tells every tensor's new type. `--every-type` tells each type that can be
made of the source, a line each.
"""

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from odllm_agent.contract import Quantization
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.errors import OdllmError
from odllm_agent.formats.file_types import FILE_TYPES, TENSOR_TYPES, type_name
from odllm_agent.models.imatrix.matrix import Matrix
from odllm_agent.models.imatrix.reading import read_matrix
from odllm_agent.models.quantizing.quantizer import MAKES, parse_types
from odllm_agent.processes.child import REFUSED, end_with_parent

_PREFIX = "LLAMA_FTYPE_"


def main() -> int:
    """Quantizes one file, or tells what could be, and ends early if standard input closes.

    Returns:
        0, or `REFUSED` if llama.cpp says that it could not.
    """
    source, target, *words = sys.argv[1:]
    options = {name: value for name, _, value in (word.partition("=") for word in words)}
    end_with_parent()
    # llama-cpp-python's own callback drops most lines; the native one writes them to stderr.
    native.llama_log_set(native.llama_log_callback(), None)
    if "--every-type" in options:
        return _tell_types(source)
    quantization = Quantization(options["--make"])
    params = _params(quantization)
    params.nthread = int(options.get("--threads", 0))
    params.dry_run = "--dry-run" in options
    params.allow_requantize = "--requantize" in options
    try:
        matrix = read_matrix(Path(options["--imatrix"])) if "--imatrix" in options else None
    except OdllmError as error:
        sys.stderr.write(f"{error.message}\n")
        return REFUSED
    if quantization.imatrix:
        # For a dry run it counts only that there is one.
        params.imatrix = _entries(matrix or Matrix({"": np.ones(1, np.float32)}))
    return REFUSED if _quantize(source, target, params) else 0


def file_types() -> Mapping[str, int]:
    """The number of each type of files that is known here, or to this llama.cpp."""
    of_llama_cpp = {
        type_name(constant.removeprefix(_PREFIX)): int(number)
        for constant, number in vars(native).items()
        if constant.startswith(_PREFIX)
    }
    return {**FILE_TYPES, **of_llama_cpp}


def _params(quantization: Quantization) -> native.llama_model_quantize_params:
    """What llama.cpp is told of a quantization."""
    params = native.llama_model_quantize_default_params()
    # A number that stands for no type lets llama.cpp itself say so.
    params.ftype = file_types().get(quantization.type, -1)
    params.pure = quantization.pure
    if quantization.output:
        params.output_tensor_type = TENSOR_TYPES[quantization.output]
    if quantization.embeddings:
        params.token_embedding_type = TENSOR_TYPES[quantization.embeddings]
    overrides = [(pattern.encode(), TENSOR_TYPES[type_]) for pattern, type_ in quantization.tensors]
    if overrides:
        kind = native.llama_model_tensor_override
        params.tt_overrides = (kind * (len(overrides) + 1))(*overrides, (None, 0))
    return params


def _entries(matrix: Matrix) -> "ctypes.Array[native.llama_model_imatrix_data]":
    """An importance matrix as llama.cpp takes it."""
    kind = native.llama_model_imatrix_data
    rows = [
        (name.encode(), values.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), values.size)
        for name, values in matrix.values.items()
    ]
    entries: ctypes.Array[Any] = (kind * (len(rows) + 1))(*rows, (None, None, 0))
    return entries


def _quantize(source: str, target: str, params: native.llama_model_quantize_params) -> int:
    status: int = native.llama_model_quantize(
        os.fsencode(source), os.fsencode(target), ctypes.byref(params)
    )
    return status


def _tell_types(source: str) -> int:
    """Says which types can be made, by dry runs."""
    lines: list[str] = []

    @native.llama_log_callback  # type: ignore[untyped-decorator]
    def note(_level: int, text: bytes, _: object) -> None:
        lines.append(text.decode("utf-8", "replace"))

    native.llama_log_set(note, None)
    for name in file_types():
        lines.clear()
        params = _params(Quantization(name))
        params.dry_run = params.allow_requantize = True
        if _quantize(source, "", params) == 0:
            types = parse_types("".join(lines).splitlines())
            print(f"{MAKES}{name} {'imatrix' if types.needs_imatrix else 'alone'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
