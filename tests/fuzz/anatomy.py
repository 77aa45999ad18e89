"""Where each field of a sound GGUF file lies, so that one of them can be changed on purpose."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Role(StrEnum):
    """What a field says."""

    COUNT = "count"
    LENGTH = "length"
    TEXT = "text"
    KIND = "kind"
    VALUE = "value"
    SIZE = "size"
    TYPE = "type"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        role: What it says.
        start: Where it starts in the file.
        n_bytes: Its length.
    """

    role: Role
    start: int
    n_bytes: int

    @property
    def end(self) -> int:
        """The place behind it."""
        return self.start + self.n_bytes


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The fields of a file.

    Attributes:
        fields: All of them but the elements of arrays, in their order.
        pairs: The first and the last byte, not included, of each metadata pair.
        tensors: The same of the description of each tensor.
    """

    fields: tuple[Field, ...]
    pairs: tuple[tuple[int, int], ...]
    tensors: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """Where the header ends, its padding not included."""
        return self.tensors[-1][1] if self.tensors else self.pairs[-1][1]


def anatomy(content: bytes) -> Anatomy:
    """The fields of a sound file."""
    walk = _Walk(content)
    n_tensors, n_pairs = walk.number(Role.COUNT, _U64), walk.number(Role.COUNT, _U64)
    pairs = tuple(walk.span(walk.pair) for _ in range(n_pairs))
    tensors = tuple(walk.span(walk.tensor) for _ in range(n_tensors))
    return Anatomy(tuple(walk.fields), pairs, tensors)


class _Walk:
    """Goes through a file from front to back."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 8
        self.fields: list[Field] = []

    def span(self, step: Callable[[], None]) -> tuple[int, int]:
        start = self._place
        step()
        return start, self._place

    def number(self, role: Role, form: struct.Struct) -> int:
        self.fields.append(Field(role, self._place, form.size))
        (value,) = form.unpack_from(self._content, self._place)
        self._place += form.size
        return int(value)

    def text(self) -> None:
        length = self.number(Role.LENGTH, _U64)
        self.fields.append(Field(Role.TEXT, self._place, length))
        self._place += length

    def pair(self) -> None:
        self.text()
        self._value(self.number(Role.KIND, _U32))

    def tensor(self) -> None:
        self.text()
        for _ in range(self.number(Role.COUNT, _U32)):
            self.number(Role.SIZE, _U64)
        self.number(Role.TYPE, _U32)
        self.number(Role.OFFSET, _U64)

    def _value(self, kind: int) -> None:
        if kind == _STRING:
            self.text()
        elif kind == _ARRAY:
            self._array(self.number(Role.KIND, _U32), self.number(Role.COUNT, _U64))
        else:
            self.fields.append(Field(Role.VALUE, self._place, _SIZES[kind]))
            self._place += _SIZES[kind]

    def _array(self, kind: int, count: int) -> None:
        if kind != _STRING:
            self._place += count * _SIZES[kind]
            return
        for _ in range(count):
            (length,) = _U64.unpack_from(self._content, self._place)
            self._place += _U64.size + length
