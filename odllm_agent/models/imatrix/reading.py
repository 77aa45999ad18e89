"""Files of importance matrices, in the forms that llama-imatrix writes.

The newer one is a GGUF file with two tensors for each matrix: sums of squared activations, and how
many there were. The older one (.dat) is a list of names and numbers; its values are multiplied by
the number of windows that were read.
"""

import struct
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter
from numpy.typing import NDArray

from odllm_agent.errors import ModelInvalid, ModelMissing
from odllm_agent.models.imatrix.matrix import Matrix, means

_MAGIC = b"GGUF"
_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASETS, _N_WINDOWS, _WINDOW = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"
_INT = struct.Struct("<i")
_MOST_BYTES = 2**31
_MOST_NAME_BYTES = 128
_FORMS = (
    "name a file that llama-imatrix wrote, in its GGUF form or its older one (.dat); a text to "
    "make a matrix from is named as text:NAME or text:PATH"
)


def is_matrix(path: Path) -> bool:
    """Whether a file of the cache is an importance matrix."""
    try:
        read_matrix(path)
    except (ModelInvalid, ModelMissing):
        return False
    return True


def read_matrix(path: Path) -> Matrix:
    """Reads an importance matrix.

    Raises:
        ModelMissing: There is no such file.
        ModelInvalid: It is none, is cut off, or holds what is no number.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        with path.open("rb") as file:
            newer = file.read(len(_MAGIC)) == _MAGIC
        matrix = _read_gguf(path) if newer else _read_dat(path.read_bytes())
        if not matrix.values:
            raise ValueError("it speaks of no tensor")
        if not all(np.isfinite(values).all() for values in matrix.values.values()):
            raise ValueError("some of its values are no numbers")
    except FileNotFoundError as error:
        raise ModelMissing(f"there is no importance matrix {path}", "check the path") from error
    except (OSError, ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise ModelInvalid(f"{path} is no usable importance matrix: {error}", _FORMS) from error
    return matrix


def write_matrix(path: Path, matrix: Matrix, window_tokens: int) -> None:
    """Writes an importance matrix in llama-imatrix's GGUF form.

    Args:
        path: The file to write.
        matrix: The matrix.
        window_tokens: The tokens of each window that was read.

    Raises:
        OSError: It cannot be written.
    """
    writer = GGUFWriter(path, "")
    # The writer names an architecture by itself, which a matrix has none of.
    writer.kv_data[0].clear()
    writer.add_string("general.type", "imatrix")
    writer.add_array(_DATASETS, list(matrix.datasets))
    writer.add_uint32(_N_WINDOWS, matrix.n_windows)
    writer.add_uint32(_WINDOW, window_tokens)
    for name, values in sorted(matrix.values.items()):
        writer.add_tensor(name + _SUMS, values.astype(np.float32).reshape(1, -1))
        writer.add_tensor(name + _COUNTS, np.ones((1, 1), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_gguf(path: Path) -> Matrix:
    reader = GGUFReader(path)
    # A model that is damaged has others, which are not read for that.
    tensors = {
        tensor.name: np.array(tensor.data, np.float32)
        for tensor in reader.tensors
        if tensor.name.endswith((_SUMS, _COUNTS))
    }
    names = [name.removesuffix(_SUMS) for name in tensors if name.endswith(_SUMS)]
    datasets = reader.fields.get(_DATASETS)
    windows = reader.fields.get(_N_WINDOWS)
    return Matrix(
        {name: means(tensors[name + _SUMS], tensors[name + _COUNTS]) for name in names},
        tuple(map(str, datasets.contents())) if datasets else (),
        int(windows.contents()) if windows else 0,
    )


def _read_dat(content: bytes) -> Matrix:
    place = 0

    def take(n_bytes: int) -> bytes:
        nonlocal place
        if n_bytes < 0 or place + n_bytes > len(content):
            raise ValueError(f"it is cut off after {len(content):,} bytes")
        place += n_bytes
        return content[place - n_bytes : place]

    def number() -> int:
        return int(_INT.unpack(take(_INT.size))[0])

    def text(length: int) -> str:
        if length > _MOST_NAME_BYTES:
            raise ValueError("it is of another format")
        return take(length).decode("utf-8")

    values: dict[str, NDArray[np.float32]] = {}
    for _ in range(number()):
        name = text(number())
        n_calls, n_values = number(), number()
        sums = np.frombuffer(take(4 * n_values), "<f4").astype(np.float32)
        values[name] = sums / np.float32(n_calls) if n_calls > 0 else sums
    if place == len(content):
        return Matrix(values)
    n_windows = number()
    rest = content[place + _INT.size :].decode("utf-8", "replace")
    return Matrix(values, (rest,) if rest else (), max(n_windows, 0))
