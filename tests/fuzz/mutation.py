"""Files that were sound once; each follows from the sound one and a random generator alone."""

import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.fuzz.anatomy import Anatomy, Field, Role, anatomy

_ABSURD = (0, 1, 2, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63, 2**64 - 1)
_FORMS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}
_KINDS = (*range(14), 99, 2**32 - 1)
_ALIGNMENT = 32
_U16, _U32, _STRING, _ARRAY, _U64 = 2, 4, 8, 9, 10
# Sparse on the disk, and more than any header may take.
_HOLE_BYTES = 80_000_000
_NO_NUMBERS = (b"\xff\xff\xff\xff", b"\0|\0|", b"\0\0\x80\x7f")
_KEYS = (
    "split.no",
    "split.count",
    "split.tensors.count",
    "general.alignment",
    "general.file_type",
    "general.architecture",
    "qwen2.context_length",
    "qwen2.block_count",
    "qwen2.attention.head_count",
    "qwen2.rope.scaling.type",
    "tokenizer.ggml.tokens",
    "../../escaped",
)

Mutate = Callable[["Sound", random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file, or one in which fields were changed in their places.

    Attributes:
        content: The file.
        parts: Where its fields lie.
        names: What its names may become.
    """

    content: bytes
    parts: Anatomy
    names: tuple[bytes, ...]

    @classmethod
    def of(cls, content: bytes, outside: str) -> "Sound":
        """A sound file, and a path that nothing may be written to: names will hold it."""
        names = (
            b"",
            outside.encode(),
            b"../" * 20 + outside.encode().lstrip(b"/"),
            b"..\\..\\escaped",
            b"\xff\xfe\x80\xc3(",
            b"a\0b",
            b"%s%n%p" * 9,
            b"n" * 64,
            b"n" * 70_000,
        )
        return cls(content, anatomy(content), names)

    def fields(self, *roles: Role) -> list[Field]:
        """The fields that say such things."""
        return [field for field in self.parts.fields if field.role in roles]


def mutated(sound: Sound, chance: random.Random) -> tuple[str, bytes]:
    """A file with something wrong, and what it is.

    Up to two fields may be changed in their places too.
    """
    kind = chance.choices(list(_MUTATIONS), [weight for weight, _ in _MUTATIONS.values()])[0]
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        sound = replace(sound, content=_field(sound, chance))
    return kind, _MUTATIONS[kind][1](sound, chance)


def _bytes(sound: Sound, chance: random.Random) -> bytes:
    """Any bytes of the header."""
    changed = bytearray(sound.content)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(sound.parts.end)] = chance.randrange(256)
    return bytes(changed)


def _field(sound: Sound, chance: random.Random) -> bytes:
    """Any number of the header, made absurd or off by one."""
    roles = chance.choice(
        (
            (Role.COUNT,), (Role.LENGTH,), (Role.KIND,), (Role.VALUE,), (Role.VALUE,), (Role.SIZE,),
            (Role.TYPE,), (Role.OFFSET,),
        )
    )  # fmt: skip
    field = chance.choice(sound.fields(*roles))
    (value,) = struct.unpack_from(_FORMS[field.n_bytes], sound.content, field.start)
    near = [value - 1, value + 1, value ^ 1 << chance.randrange(8 * field.n_bytes), value * 2]
    wanted = _KINDS if field.role in {Role.KIND, Role.TYPE} else _ABSURD
    return _put(sound.content, field, chance.choice((*near, *wanted)))


def _text(sound: Sound, chance: random.Random) -> bytes:
    """A name or value with `..`, a path, bad UTF-8 or nothing in it, of whatever length."""
    length = chance.choice(sound.fields(Role.LENGTH))
    name = chance.choice(sound.names)
    (old,) = struct.unpack_from("<Q", sound.content, length.start)
    return _resized(sound, length.start, length.end + old, _string(name))


def _same_text(sound: Sound, chance: random.Random) -> bytes:
    """The same, cut to the old length, so that all else stays where it was."""
    field = chance.choice([field for field in sound.fields(Role.TEXT) if field.n_bytes])
    name = chance.choice(sound.names[1:]) * field.n_bytes
    return _spliced(sound.content, field.start, field.end, name[: field.n_bytes])


def _twice(sound: Sound, chance: random.Random) -> bytes:
    """A pair or a tensor that is there twice, counted or not."""
    which = chance.randrange(2)
    spans = (sound.parts.tensors, sound.parts.pairs)[which]
    start, end = chance.choice(spans)
    added = _resized(sound, end, end, sound.content[start:end])
    return _counted(added, sound, which, chance.choice((0, 1, 1, 1)))


def _gone(sound: Sound, chance: random.Random) -> bytes:
    """A pair or a tensor that is not there."""
    which = chance.randrange(2)
    start, end = chance.choice((sound.parts.tensors, sound.parts.pairs)[which])
    return _counted(_resized(sound, start, end, b""), sound, which, -1)


def _added(sound: Sound, chance: random.Random) -> bytes:
    """A pair more: of a known key or an odd one, with a number, a text or an array."""
    key = chance.choice([*(key.encode() for key in _KEYS), *sound.names])
    number = chance.choice(_ABSURD)
    value = chance.choice(
        (
            struct.pack("<IH", _U16, number & 0xFFFF),
            struct.pack("<II", _U32, number & 0xFFFF_FFFF),
            struct.pack("<IQ", _U64, number),
            struct.pack("<I", _STRING) + _string(chance.choice(sound.names)),
            struct.pack("<IIQ", _ARRAY, chance.choice(_KINDS), number),
            struct.pack("<IIQ", _ARRAY, _U32, 100_000) + bytes(400_000),
        )
    )
    place = chance.choice(sound.parts.pairs)[0]
    return _counted(_resized(sound, place, place, _string(key) + value), sound, 1, 1)


def _swapped(sound: Sound, chance: random.Random) -> bytes:
    """The descriptions of two tensors in each other's place."""
    (a, b), (c, d) = sorted(chance.sample(sound.parts.tensors, 2))
    content = sound.content
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _cut(sound: Sound, chance: random.Random) -> bytes:
    """The start of the file, up to somewhere in its header or its weights."""
    end = chance.choice((sound.parts.end + 64, len(sound.content)))
    return sound.content[: chance.randrange(end)]


def _longer(sound: Sound, chance: random.Random) -> bytes:
    """More at its end than it speaks of."""
    return sound.content + chance.randbytes(chance.choice((1, 31, 5000)))


def _weights(sound: Sound, chance: random.Random) -> bytes:
    """Weights that are no numbers, or infinite."""
    changed = bytearray(sound.content)
    for _ in range(chance.randint(1, 40)):
        place = chance.randrange(sound.parts.end, len(changed) - 4)
        changed[place : place + 4] = chance.choice(_NO_NUMBERS)
    return bytes(changed)


def _endless(sound: Sound, chance: random.Random) -> bytes:
    """An array of empty texts without end, in a file that seems long enough for it."""
    endless = _string(b"k") + struct.pack("<IIQ", _ARRAY, _STRING, 2**40)
    head = _spliced(sound.content, sound.parts.pairs[0][0], sound.parts.end, endless)
    return head + bytes(_HOLE_BYTES)


_MUTATIONS: Mapping[str, tuple[float, Mutate]] = {
    "bytes": (14, _bytes),
    "field": (30, _field),
    "text": (8, _text),
    "same length text": (8, _same_text),
    "twice": (5, _twice),
    "gone": (5, _gone),
    "added": (12, _added),
    "swapped": (3, _swapped),
    "cut": (7, _cut),
    "longer": (3, _longer),
    "weights": (5, _weights),
    "endless": (0.05, _endless),
}


def _string(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


def _spliced(content: bytes, start: int, end: int, new: bytes) -> bytes:
    return content[:start] + new + content[end:]


def _resized(sound: Sound, start: int, end: int, new: bytes) -> bytes:
    """The file with something else in its header, and its weights where they belong then."""
    head = _spliced(sound.content[: sound.parts.end], start, end, new)
    weights = sound.content[sound.parts.end + -sound.parts.end % _ALIGNMENT :]
    return head + bytes(-len(head) % _ALIGNMENT) + weights


def _put(content: bytes, field: Field, value: int) -> bytes:
    raw = struct.pack(_FORMS[field.n_bytes], value % 2 ** (8 * field.n_bytes))
    return _spliced(content, field.start, field.end, raw)


def _counted(content: bytes, sound: Sound, which: int, change: int) -> bytes:
    """The content with so many more tensors (0) or pairs (1) stated."""
    field = sound.fields(Role.COUNT)[which]
    (count,) = struct.unpack_from("<Q", content, field.start)
    return _put(content, field, count + change)
