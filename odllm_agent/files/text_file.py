"""Text that a person hands over, in whichever encoding an editor or a shell wrote it."""

import codecs
import errno
import re
from pathlib import Path

# UTF-32 comes first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Without a mark: two characters of ASCII at the beginning.
_SHAPES = (
    (re.compile(rb"(?:[^\0]\0){2}"), "utf-16-le"),
    (re.compile(rb"(?:\0[^\0]){2}"), "utf-16-be"),
)


def content(path: Path) -> bytes:
    """The bytes of a file that is read more than once.

    Raises:
        OSError: It cannot be read, or is a pipe or a device, which could be read once at most.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no file, and is read more than once")
    return path.read_bytes()


class NotText(ValueError):
    """What is wrong with bytes that are no text, and in which line."""


def decoded(content: bytes) -> str:
    """The text in bytes, without a byte order mark; line ends are kept as they are.

    Raises:
        NotText: They are neither UTF-8, nor UTF-16 or UTF-32 that can be told by its first bytes.
    """
    mark, encoding = _encoding(content)
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        before = content[len(mark) : len(mark) + error.start].decode(encoding, "replace")
        raise NotText(
            f"line {before.count(chr(10)) + 1}: byte {len(mark) + error.start:,} is no "
            f"{encoding.upper()}"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise NotText(f"line {line}: it holds a zero byte, so it is no text")
    return text


def _encoding(content: bytes) -> tuple[bytes, str]:
    for mark, name in _MARKS:
        if content.startswith(mark):
            return mark, name
    return b"", next((name for shape, name in _SHAPES if shape.match(content)), "utf-8")
