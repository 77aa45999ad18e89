"""What a GGUF file says of itself, read without its weights.

The package gguf supplies the tables of types. Its reader is not used: it makes objects of every
token of a vocabulary (6 s for that of Qwen2.5, against 0.04 s here), and it believes the counts
that a file states. This one does work in proportion to the bytes that are really there, and stops
at a bound.
"""

import math
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gguf import GGUF_DEFAULT_ALIGNMENT, GGUFValueType

from odllm_agent.contract import Card, Scalar, TypeShare
from odllm_agent.errors import ModelInvalid, ModelMissing
from odllm_agent.formats import unknown_type
from odllm_agent.formats.card import card
from odllm_agent.formats.file_kind import START_BYTES, kind_of
from odllm_agent.formats.file_name import why_not_whole
from odllm_agent.formats.file_types import BLOCKS, FILE_TYPES, TENSOR_TYPES, UNQUANTIZED
from odllm_agent.formats.gguf_kind import why_no_model, why_unread
from odllm_agent.formats.hyperparameters import Hyperparameters, Numbers
from odllm_agent.formats.split import first_name, numbered_name, part_names

# The longest known vocabularies, half a million merges included, make headers of about 20 MB.
_MAX_HEADER_BYTES = 64 * 2**20
# Models have up to a few thousand tensors and some dozens of metadata pairs.
_MAX_ENTRIES = 65_536
_FIRST_READ_BYTES = 2**20
_MAX_DIMENSIONS = 4
_MAX_NAME_BYTES = 63
# More than a number for each block of any model; vocabularies are longer.
_MAX_NUMBERS = 1024
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_NUMBERS: Mapping[int, struct.Struct] = {
    GGUFValueType.UINT8: struct.Struct("<B"),
    GGUFValueType.INT8: struct.Struct("<b"),
    GGUFValueType.UINT16: struct.Struct("<H"),
    GGUFValueType.INT16: struct.Struct("<h"),
    GGUFValueType.UINT32: _U32,
    GGUFValueType.INT32: struct.Struct("<i"),
    GGUFValueType.FLOAT32: struct.Struct("<f"),
    GGUFValueType.BOOL: struct.Struct("<?"),
    GGUFValueType.UINT64: _U64,
    GGUFValueType.INT64: struct.Struct("<q"),
    GGUFValueType.FLOAT64: struct.Struct("<d"),
}
_NAMES: Mapping[object, str] = {number: name for name, number in FILE_TYPES.items()}
_TENSOR_NAMES: Mapping[int, str] = {number: name for name, number in TENSOR_TYPES.items()}
_GET_AGAIN = "get the file again from where it came, or make it again from its source"
_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header describes it.

    Attributes:
        name: The tensor's name.
        type: The type of its weights by ggml's name, such as `Q4_K`.
        shape: Its dimensions as the file lists them, the length of a row first.
        offset_bytes: Where its data starts, counted from the start of all tensor data in its file.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    offset_bytes: int

    @property
    def n_weights(self) -> int:
        """The number of weights."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """The bytes of the weights."""
        block, block_bytes = block_size(self.type)
        return self.n_weights // block * block_bytes

    @property
    def quantized(self) -> bool:
        """Whether weights share scales in blocks, so that their exact values are lost."""
        block, _ = block_size(self.type)
        return block > 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file's header ends, and how its data is laid out; places count from its start.

    Attributes:
        n_pairs: The number of metadata pairs, arrays among them.
        pairs_end_bytes: Where they end.
        alignment: What every tensor's place is a multiple of.
        data_start_bytes: Where the data of the tensors starts.
    """

    n_pairs: int
    pairs_end_bytes: int
    alignment: int
    data_start_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a whole GGUF model.

    Attributes:
        parts: Its file or, of a split model, all of them in their order.
        file_bytes: The size of all of them.
        architecture: The architecture's name, such as `qwen2`.
        quantization: The type by llama.cpp's name, such as `Q4_K_M`. Where the header states none,
            or one that its tensors belie, the type of most weights.
        context_tokens: The longest context that the model was made for.
        hyperparameters: What it says of its architecture.
        card: What it says of the model to people.
        layout: That of its first file.
        tensors: Every tensor, in the order of the files.
    """

    parts: tuple[Path, ...]
    file_bytes: int
    architecture: str
    quantization: str
    context_tokens: int
    hyperparameters: Hyperparameters
    card: Card
    layout: Layout
    tensors: tuple[Tensor, ...]

    @property
    def path(self) -> Path:
        """The file that an engine is told to load: it finds the other parts by itself."""
        return self.parts[0]

    @property
    def n_blocks(self) -> int:
        """The number of transformer blocks."""
        return self.hyperparameters.n_blocks

    @property
    def weight_bytes(self) -> int:
        """The bytes of all tensors."""
        return sum(tensor.n_bytes for tensor in self.tensors)

    @property
    def n_weights(self) -> int:
        """The number of weights in all tensors."""
        return sum(tensor.n_weights for tensor in self.tensors)

    @property
    def mix(self) -> tuple[TypeShare, ...]:
        """How much of it is of which type, the most first."""
        n_weights = Counter[str]()
        for tensor in self.tensors:
            n_weights[tensor.type] += tensor.n_weights
        return tuple(TypeShare(*each) for each in n_weights.most_common())

    @property
    def tensor_types(self) -> tuple[str, ...]:
        """The distinct types of the tensors, sorted."""
        return tuple(sorted({tensor.type for tensor in self.tensors}))

    @property
    def quantized(self) -> bool:
        """Whether any tensor is quantized."""
        return any(tensor.quantized for tensor in self.tensors)


def block_size(type_name: str) -> tuple[int, int]:
    """The weights in a block of a type, and the bytes of the block.

    Args:
        type_name: ggml's name of the type, such as `Q4_K`.
    """
    return BLOCKS[type_name]


def aligned(position: int, alignment: int) -> int:
    """The first place from a position on that is a multiple of the alignment."""
    return -(-position // alignment) * alignment


def read_header(path: Path) -> Header:
    """Reads the header of a GGUF file and makes sure that all of the file is there.

    Of a split model it reads the headers of all parts, which must lie beside the first.

    Raises:
        ModelMissing: There is no such file, or a part of the model is not there.
        ModelInvalid: It is not a GGUF file, is cut off, is not the first of its parts, cannot be
            read, or its header makes no sense; or one of its parts belongs to another model.
    """
    files = _read_all(path)
    with _nonsense_told(path):
        return _header(files)


@dataclass(frozen=True, slots=True)
class _File:
    """What one file says.

    Attributes:
        path: The file.
        file_bytes: Its size.
        values: Its metadata without arrays.
        numbers: Its short arrays of numbers.
        lengths: How long each of its other arrays is.
        layout: Where its parts are.
        tensors: Its tensors.
        followed: Whether another GGUF file begins where its own data ends.
    """

    path: Path
    file_bytes: int
    values: dict[str, Scalar]
    numbers: dict[str, Numbers]
    lengths: dict[str, int]
    layout: Layout
    tensors: tuple[Tensor, ...]
    followed: bool

    @property
    def split(self) -> tuple[int, int, int]:
        """Which part it says it is, from 0, of how many, and the tensors in all of them."""
        return (
            self._number("split.no"),
            self._number("split.count"),
            self._number("split.tensors.count"),
        )

    @property
    def whole(self) -> bool:
        """Whether the file is a model by itself."""
        return self.split[1] in {0, 1}

    def _number(self, key: str) -> int:
        value = self.values.get(key, 0)
        return value if type(value) is int else -1


def _read_all(path: Path) -> tuple[_File, ...]:
    first = _read(path)
    with _nonsense_told(path):
        _refuse_joined(first)
    if first.whole:
        return (first,)
    with _nonsense_told(path):
        _refuse_wrong_name(first)
    names = part_names(path.name)
    others = enumerate(names[1:], start=1)
    return (first, *(_read_part(path.with_name(name), number, first) for number, name in others))


def _read_part(path: Path, number: int, first: _File) -> _File:
    _, count, n_tensors = first.split
    try:
        part = _read(path)
    except ModelMissing as error:
        raise ModelMissing(
            f"part {number + 1} of {count} of the split model {first.path} is not there: {path}",
            "get all parts, and let them lie beside each other under their own names",
        ) from error
    if part.split != (number, count, n_tensors):
        raise ModelInvalid(
            f"{path} does not belong to the split model {first.path}: as number, parts and tensors "
            f"in all it states {part.split}, where {(number, count, n_tensors)} is needed",
            "get all parts anew from one place",
        )
    return part


def _read(path: Path) -> _File:
    with _nonsense_told(path):
        try:
            with _opened(path) as file:
                return _parse(path, _Bytes(file, path.name, os.fstat(file.fileno()).st_size))
        except FileNotFoundError as error:
            raise ModelMissing(
                f"there is no model file {path}", "check the path; it must be on this very device"
            ) from error
        except OSError as error:
            raise ModelInvalid(
                f"the model file {path} cannot be read: {error.strerror}",
                "check that it is a file and that the agent's user may read it",
            ) from error


@contextmanager
def _nonsense_told(path: Path) -> Iterator[None]:
    try:
        yield
    except _Nonsense as error:
        by_name = why_not_whole(path.name) if error.remedy == _GET_AGAIN else None
        raise ModelInvalid(
            f"{path} is no usable GGUF file: {error}", by_name or error.remedy
        ) from error


class _Nonsense(Exception):
    """Something in the file that cannot be; becomes a ModelInvalid that names the file."""

    def __init__(self, reason: str, remedy: str = _GET_AGAIN) -> None:
        super().__init__(reason)
        self.remedy = remedy


class _Bytes:
    """The start of a file, read in growing steps and taken apart from front to back.

    The file is read and not mapped, because a mapped file that shrinks kills the process.
    """

    def __init__(self, file: BinaryIO, name: str, file_bytes: int) -> None:
        self._file = file
        self._read = b""
        self.name = name
        self.file_bytes = file_bytes
        self.position = 0

    def start(self, n_bytes: int) -> bytes:
        """The first bytes, or all of them if there are fewer."""
        wanted = min(n_bytes, self.file_bytes)
        self._have(wanted)
        return self._read[:wanted]

    def has_at(self, place: int, wanted: bytes) -> bool:
        """Whether some bytes stand at a place, anywhere in the file."""
        self._file.seek(place)
        found = self._file.read(len(wanted))
        self._file.seek(len(self._read))
        return found == wanted

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        start = self.position
        self.skip(n_bytes)
        return self._read[start : self.position]

    def skip(self, n_bytes: int) -> None:
        """Goes on behind the next bytes, which must be there."""
        self._have(self.position + n_bytes)
        self.position += n_bytes

    def number(self, form: struct.Struct) -> int:
        """The next number."""
        self._have(self.position + form.size)
        (value,) = form.unpack_from(self._read, self.position)
        self.position += form.size
        return cast(int, value)

    def text(self) -> str:
        """The next string."""
        return self.take(self.number(_U64)).decode("utf-8", "replace")

    def skip_texts(self, count: int) -> None:
        """Goes on behind that many strings."""
        lengths = _U64.unpack_from
        for _ in range(count):
            if self.position + 8 > len(self._read):
                self._read_until(self.position + 8)
            (length,) = lengths(self._read, self.position)
            self.position += 8 + length
        self._have(self.position)

    def _have(self, end: int) -> None:
        if end > len(self._read):
            self._read_until(end)

    def _read_until(self, end: int) -> None:
        if end > self.file_bytes:
            raise _Nonsense(f"it is cut off inside its header, after {self.file_bytes:,} bytes")
        if end > _MAX_HEADER_BYTES:
            raise _Nonsense(f"its header is longer than {_MAX_HEADER_BYTES:,} bytes")
        wanted = min(max(end, 2 * len(self._read), _FIRST_READ_BYTES), _MAX_HEADER_BYTES)
        self._read += self._file.read(wanted - len(self._read))
        if end > len(self._read):
            raise _Nonsense("it became shorter while it was read")


def _opened(path: Path) -> BinaryIO:
    """The file, opened only if it is one: opening a pipe would wait for ever."""
    if "\0" in str(path):
        raise FileNotFoundError
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise _Nonsense("it is a folder or a device", "name the .gguf file itself")
    return path.open("rb")


def _parse(path: Path, data: _Bytes) -> _File:
    n_tensors, n_pairs = _preamble(data)
    pairs = _pairs(data, n_pairs)
    values = {key: value for key, value in pairs.items() if not isinstance(value, tuple | _Skipped)}
    pairs_end_bytes = data.position
    alignment = _alignment(values)
    tensors = tuple(_tensor(data) for _ in range(n_tensors))
    end = _refuse_bad_layout(tensors, alignment, data)
    return _File(
        path=path,
        file_bytes=data.file_bytes,
        values=values,
        numbers={key: value for key, value in pairs.items() if isinstance(value, tuple)},
        lengths={key: value.length for key, value in pairs.items() if isinstance(value, _Skipped)},
        layout=Layout(n_pairs, pairs_end_bytes, alignment, aligned(data.position, alignment)),
        tensors=tensors,
        followed=any(data.has_at(place, _MAGIC) for place in (end, aligned(end, alignment))),
    )


def _header(files: Sequence[_File]) -> Header:
    values = files[0].values
    tensors = tuple(tensor for file in files for tensor in file.tensors)
    if refused := why_no_model(values, len(tensors)):
        raise _Nonsense(*refused)
    _refuse_wrong_number(tensors, files[0])
    architecture = str(values["general.architecture"])
    return Header(
        parts=tuple(file.path for file in files),
        file_bytes=sum(file.file_bytes for file in files),
        architecture=architecture,
        quantization=_quantization(values.get("general.file_type"), tensors),
        context_tokens=_count(values, f"{architecture}.context_length"),
        hyperparameters=_hyperparameters(architecture, files[0]),
        card=card(values, files[0].lengths),
        layout=files[0].layout,
        tensors=tensors,
    )


def _hyperparameters(architecture: str, file: _File) -> Hyperparameters:
    start = f"{architecture}."
    stated = {
        key.removeprefix(start): value
        for key, value in (file.values | file.numbers).items()
        if key.startswith(start) and not isinstance(value, str)
    }
    return Hyperparameters(architecture, _count(file.values, f"{start}block_count"), stated)


def _preamble(data: _Bytes) -> tuple[int, int]:
    """The numbers of tensors and of metadata pairs."""
    _refuse_other_format(data)
    data.skip(len(_MAGIC))
    if refused := why_unread(data.number(_U32)):
        raise _Nonsense(*refused)
    n_tensors, n_pairs = data.number(_U64), data.number(_U64)
    if max(n_tensors, n_pairs) > _MAX_ENTRIES:
        raise _Nonsense(
            f"it claims {n_tensors:,} tensors and {n_pairs:,} metadata pairs, of which more than "
            f"{_MAX_ENTRIES:,} are not credible"
        )
    return n_tensors, n_pairs


def _refuse_other_format(data: _Bytes) -> None:
    start = data.start(START_BYTES)
    if not start:
        raise _Nonsense("it is empty")
    if _MAGIC.startswith(start[: len(_MAGIC)]) or start.startswith(_MAGIC):
        return
    kind = kind_of(start)
    if kind:
        raise _Nonsense(f"it does not start with GGUF: it is {kind.what}", kind.remedy)
    raise _Nonsense("it does not start with GGUF", why_not_whole(data.name) or "name a .gguf file")


@dataclass(frozen=True, slots=True)
class _Skipped:
    """An array that is not read: of texts, or a long one."""

    length: int


def _pairs(data: _Bytes, count: int) -> dict[str, Scalar | Numbers | _Skipped]:
    """The metadata pairs."""
    values: dict[str, Scalar | Numbers | _Skipped] = {}
    seen: set[str] = set()
    for _ in range(count):
        key = data.text()
        if key in seen:
            raise _Nonsense(f"its metadata has the key {key[:80]!r} twice")
        seen.add(key)
        values[key] = _value(data, key)
    return values


def _value(data: _Bytes, key: str) -> Scalar | Numbers | _Skipped:
    kind = data.number(_U32)
    if kind == GGUFValueType.ARRAY:
        return _array(data, key)
    if kind == GGUFValueType.STRING:
        return data.text()
    return data.number(_number_form(kind, key))


def _array(data: _Bytes, key: str) -> Numbers | _Skipped:
    kind, count = data.number(_U32), data.number(_U64)
    if kind == GGUFValueType.STRING:
        data.skip_texts(count)
        return _Skipped(count)
    form = _number_form(kind, key)
    if count > _MAX_NUMBERS:
        data.skip(count * form.size)
        return _Skipped(count)
    return tuple(data.number(form) for _ in range(count))


def _number_form(kind: int, key: str) -> struct.Struct:
    if kind not in _NUMBERS:
        raise _Nonsense(f"its metadata {key[:80]!r} is of the unknown kind {kind}")
    return _NUMBERS[kind]


def _refuse_joined(first: _File) -> None:
    """Refuses files that were joined as they are, of which the first alone would count."""
    if not first.followed:
        return
    _, count, _ = first.split
    parts = "the parts of a split model were" if count > 1 else "several files were"
    raise _Nonsense(
        f"another GGUF file begins where its own data ends: {parts} joined with `cat`",
        f"get the parts again and let them lie beside each other as {numbered_name('MODEL', 1, 2)} "
        "and so on; `llama-gguf-split --merge FIRST WHOLE` makes one file of them",
    )


def _refuse_wrong_name(first: _File) -> None:
    """Refuses what llama.cpp would not load as the first part of a split model."""
    number, count, _ = first.split
    name, example = first.path.name, numbered_name("MODEL", 1, count)
    if number != 0:
        named = first_name(name)
        raise _Nonsense(
            f"it is part {number + 1} of {count} of a split model",
            f"name its first part, {named if named != name else f'such as {example}'}",
        )
    if len(part_names(name)) != count:
        raise _Nonsense(
            f"it is the first of {count} parts of a split model, and its name does not say so",
            f"give the parts their names again: {example} and so on",
        )


def _refuse_wrong_number(tensors: Sequence[Tensor], first: _File) -> None:
    if not tensors:
        raise _Nonsense("it holds no tensors", "name a file with weights, not only a vocabulary")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise _Nonsense("two of its tensors have the same name")
    _, _, n_tensors = first.split
    if not first.whole and n_tensors != len(tensors):
        raise _Nonsense(f"its parts hold {len(tensors):,} tensors, and {n_tensors:,} are stated")


def _alignment(values: Mapping[str, Scalar]) -> int:
    alignment = values.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise _Nonsense(f"its alignment is {str(alignment)[:80]!r}, which is no power of two")
    return alignment


def _tensor(data: _Bytes) -> Tensor:
    name = data.text()
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise _Nonsense(f"a tensor's name is longer than {_MAX_NAME_BYTES} bytes: {name[:80]!r}")
    n_dimensions = data.number(_U32)
    if n_dimensions > _MAX_DIMENSIONS:
        raise _Nonsense(f"its tensor {name} has {n_dimensions:,} dimensions")
    shape = tuple(data.number(_U64) for _ in range(n_dimensions))
    tensor = Tensor(name, _type_name(data.number(_U32), name), shape, data.number(_U64))
    block, _ = block_size(tensor.type)
    if tensor.n_weights == 0 or (shape[0] if shape else 1) % block:
        raise _Nonsense(f"its tensor {name} of type {tensor.type} has the shape {list(shape)}")
    return tensor


def _type_name(number: int, tensor: str) -> str:
    try:
        return _TENSOR_NAMES[number]
    except KeyError as error:
        what, remedy = unknown_type.told(number)
        raise _Nonsense(f"its tensor {tensor} is of {what}", remedy) from error


def _refuse_bad_layout(tensors: tuple[Tensor, ...], alignment: int, data: _Bytes) -> int:
    """Makes sure that the tensors follow one another without gap or overlap.

    Returns:
        Where the last one ends.
    """
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise _Nonsense("two of its tensors have the same name")
    start = end = aligned(data.position, alignment)
    offset = 0
    for tensor in tensors:
        if tensor.offset_bytes != offset:
            raise _Nonsense(
                f"the data of its tensor {tensor.name} is said to start at byte "
                f"{tensor.offset_bytes:,} where only {offset:,} can be right"
            )
        end = start + offset + tensor.n_bytes
        if end > data.file_bytes:
            raise _Nonsense(
                f"it is cut off after {data.file_bytes:,} bytes: its tensor {tensor.name} ends at "
                f"byte {end:,}"
            )
        offset = aligned(offset + tensor.n_bytes, alignment)
    return end


def _count(values: Mapping[str, Scalar], key: str) -> int:
    value = values.get(key)
    if value is None:
        raise _Nonsense(f"its metadata {key[:80]!r} is missing, or is no single number")
    if type(value) is not int or not 0 < value < 2**32:
        raise _Nonsense(
            f"its metadata {key[:80]!r} is {str(value)[:80]!r}, where a number from 1 to "
            f"{2**32 - 1:,} is needed"
        )
    return value


def _quantization(stated: object, tensors: tuple[Tensor, ...]) -> str:
    weights = Counter[str]()
    for tensor in tensors:
        weights[tensor.type] += tensor.n_weights
    ((most, _),) = weights.most_common(1)
    block, _ = block_size(most)
    name = _NAMES.get(stated, "")
    belied = block == 1 or name in {"", *UNQUANTIZED}
    return most if belied else name
