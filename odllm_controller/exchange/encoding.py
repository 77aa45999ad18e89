"""Which encoding a text has that comes with a byte order mark, or with zeros that betray it."""

import codecs
import re

UTF_8 = "utf-8"

# UTF-32 comes first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Without a mark: two characters of ASCII at the beginning.
_SHAPES = (
    (re.compile(rb"([^\0]\0\0\0){2}"), "utf-32-le"),
    (re.compile(rb"(\0\0\0[^\0]){2}"), "utf-32-be"),
    (re.compile(rb"([^\0]\0){2}"), "utf-16-le"),
    (re.compile(rb"(\0[^\0]){2}"), "utf-16-be"),
)
_LOST = "\N{REPLACEMENT CHARACTER}"


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first bytes; UTF-8 unless they say another one."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    return next((name for shape, name in _SHAPES if shape.match(head)), UTF_8)


def decoded(content: bytes, encoding: str) -> str:
    """A text; what is no character becomes a half of one, which no record may hold.

    Args:
        content: The bytes.
        encoding: What `encoding_of` told of them.

    Raises:
        ValueError: They are of no such encoding at all.
    """
    if encoding == UTF_8:
        return content.decode(encoding, "surrogateescape")
    unit_bytes = 4 if "32" in encoding else 2
    n_whole = len(content) - len(content) % unit_bytes
    text = content[:n_whole].decode(encoding, "surrogatepass").removeprefix("\ufeff")
    return text if n_whole == len(content) else f"{text}\n{_LOST}"
