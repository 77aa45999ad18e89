"""The file that llama.cpp's quantizer would make, without its weights.

Its size, its bits per weight and the type of every tensor are exactly those of the real file, but
its weights are a hole: it is written in no time, takes only the room of its header, and llama.cpp
can load it to tell how much memory the real one would need.
"""

import ctypes
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gguf import GGML_QUANT_VERSION, GGUFValueType

from odllm_agent.formats.file_types import FILE_TYPES, NO_FILE_TYPE, TENSOR_TYPES
from odllm_agent.formats.header import Header, Tensor, aligned, read_header
from odllm_agent.models.quantizing import quantizer
from odllm_agent.models.quantizing.quantizer import Recipe

_PREAMBLE = struct.Struct("<4sIQQ")
_VERSION = 3
# Windows' FSCTL_SET_SPARSE.
_SET_SPARSE = 0x000900C4


def foresee(source: Header, recipe: Recipe, target: Path, *, fillable: bool = False) -> Header:
    """Writes what the quantizer would make of a source, with a hole where the weights would be.

    Args:
        source: The header of the file that it would be made of; its weights may be a hole too.
        recipe: How it would be made; its importance matrix is not needed.
        target: The file to write, of the real file's size but nearly without content.
        fillable: Whether the weights are drawn and not quantized, for which no matrix is needed.

    Returns:
        The header of the target: all but the weights of what would be made.

    Raises:
        UsageError: The quantizer makes no such file, or not without an importance matrix.
        ModelInvalid: llama.cpp refuses the source, or dies of it.
        EngineError: The quantizer is missing or fails otherwise.
        OSError: The target cannot be written.
    """
    types = quantizer.foreseen_types(source, recipe)
    if types.needs_imatrix and not fillable:
        raise quantizer.needs_imatrix(source, recipe.quantization)
    file_type = FILE_TYPES.get(recipe.quantization.type, NO_FILE_TYPE)
    return write_sparse(source, target, types.of_tensors, file_type)


def write_sparse(source: Header, target: Path, types: Mapping[str, str], file_type: int) -> Header:
    """Writes a file with the metadata of another, tensors of other types, and no weights.

    Args:
        source: The header whose metadata and tensors are taken over.
        target: The file to write.
        types: ggml's name of the type of every tensor, by the tensor's name.
        file_type: What the header is to call the types as a whole.

    Raises:
        OSError: The target cannot be written.
    """
    tensors: list[Tensor] = []
    offset_bytes = 0
    for tensor in source.tensors:
        changed = replace(tensor, type=types[tensor.name], offset_bytes=offset_bytes)
        tensors.append(changed)
        offset_bytes += aligned(changed.n_bytes, source.layout.alignment)
    with target.open("wb") as file:
        _write_metadata(file, source, file_type, len(tensors))
        for tensor in tensors:
            file.write(_described(tensor))
        end_in_hole(file, tensors, source.layout.alignment)
    return read_header(target)


def end_in_hole(file: BinaryIO, tensors: Iterable[Tensor], alignment: int) -> None:
    """Makes a file that ends with its header as long as its weights will make it.

    Args:
        file: The file, open for writing at its end.
        tensors: What the header describes.
        alignment: What every tensor's place is a multiple of.
    """
    data_bytes = sum(aligned(tensor.n_bytes, alignment) for tensor in tensors)
    allow_holes(file)
    file.truncate(aligned(file.tell(), alignment) + data_bytes)


def _write_metadata(file: BinaryIO, source: Header, file_type: int, n_tensors: int) -> None:
    """Writes the start of a header: all pairs of the source, as the quantizer changes them."""
    with source.path.open("rb") as original:
        pairs = original.read(source.layout.pairs_end_bytes)[_PREAMBLE.size :]
    pairs = _unsplit(pairs)
    n_pairs = source.layout.n_pairs
    for key, value in (
        ("general.quantization_version", GGML_QUANT_VERSION),
        ("general.file_type", file_type),
    ):
        start = _text(key) + struct.pack("<I", GGUFValueType.UINT32)
        before, found, after = pairs.partition(start)
        n_pairs += not found
        pairs = before + start + struct.pack("<I", value) + after[4:]
    file.write(_PREAMBLE.pack(b"GGUF", _VERSION, n_tensors, n_pairs) + pairs)


def _unsplit(pairs: bytes) -> bytes:
    """The pairs of a first part as those of a whole file: of no parts, as the quantizer says."""
    start = _text("split.count") + struct.pack("<I", GGUFValueType.UINT16)
    before, found, after = pairs.partition(start)
    return before + found + bytes(2) + after[2:] if found else pairs


def _described(tensor: Tensor) -> bytes:
    shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    kind = TENSOR_TYPES[tensor.type]
    return _text(tensor.name) + shape + struct.pack("<IQ", kind, tensor.offset_bytes)


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def allow_holes(file: BinaryIO) -> None:
    """Lets a file have holes: Windows gives it all of its room at once unless told otherwise."""
    if sys.platform != "win32":
        return
    import msvcrt  # noqa: PLC0415 - Windows' own

    handle = ctypes.c_void_p(msvcrt.get_osfhandle(file.fileno()))
    returned = ctypes.c_ulong()
    ctypes.windll.kernel32.DeviceIoControl(
        handle, _SET_SPARSE, None, 0, None, 0, ctypes.byref(returned), None
    )
