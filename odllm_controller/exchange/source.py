"""What is imported, read once: a file, a pipe, the standard input."""

import contextlib
import io
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import STANDARD
from odllm_controller.exchange.encoding import UTF_8, decoded, encoding_of
from odllm_controller.exchange.kind import HEAD_BYTES, Kind, kind_of, packing_of

_MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class ImportSource:
    """Something to import.

    Attributes:
        path: What it was called.
        name: What it is called in the column `origin`.
        kind: What it holds.
        file: Its bytes, from the first; a text is in UTF-8, and its lines end in a line feed.
    """

    path: Path
    name: str
    kind: Kind
    file: BinaryIO

    def text(self) -> str:
        """All of it; what is no character is a half of one, which no record may hold.

        Raises:
            UsageError: It is too large, or cannot be read.
        """
        return decoded(_whole(self.file, self.path), UTF_8).removeprefix("\ufeff")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[ImportSource]:
    """Opens what is to be imported; what can be read only once is read to its end.

    Args:
        path: A file, a pipe, or `-`.

    Raises:
        UsageError: It cannot be read, is too large, is packed, or is no text of its encoding.
    """
    with contextlib.ExitStack() as open_files:
        try:
            if path == STANDARD:
                raw, is_file = sys.stdin.buffer, False
            else:
                raw = open_files.enter_context(path.open("rb"))
                is_file = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            raise _unreadable(path, error) from error
        # A pipe can be read only once, and has no size until then.
        file: BinaryIO = raw if is_file else io.BytesIO(_whole(raw, path))
        if packing := packing_of(_head(file, path)):
            raise UsageError(f"{path} is {packing.what}", packing.remedy)
        file = _in_utf_8(file, path)
        yield ImportSource(path, _name(path, is_file), kind_of(_head(file, path)), file)


def _name(path: Path, is_file: bool) -> str:
    if path == STANDARD:
        return "stdin"
    # What a shell calls a pipe is another name every time.
    return "a pipe" if not is_file and path.name.isdigit() else path.name


def _in_utf_8(file: BinaryIO, path: Path) -> BinaryIO:
    """The same text as readers want it; what is none of another encoding is left as it is."""
    head = _head(file, path)
    encoding = encoding_of(head)
    lines_end_in_cr = b"\r" in head and b"\n" not in head and kind_of(head) is not Kind.PARQUET
    if encoding == UTF_8 and not lines_end_in_cr:
        return file
    try:
        text = decoded(_whole(file, path), encoding)
    except ValueError as error:
        told = f"{path} looks like {encoding.upper()} and is none: {error}"
        raise UsageError(told, "save it as UTF-8") from error
    if "\n" not in text:
        text = text.replace("\r", "\n")
    escape = "surrogateescape" if encoding == UTF_8 else "surrogatepass"
    return io.BytesIO(text.encode(UTF_8, escape))


def _head(file: BinaryIO, path: Path) -> bytes:
    try:
        head = file.read(HEAD_BYTES)
        file.seek(0)
    except OSError as error:
        raise _unreadable(path, error) from error
    return head


def _whole(file: BinaryIO, path: Path) -> bytes:
    try:
        content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > _MOST_BYTES:
        told = f"{path} holds more than {_MOST_BYTES >> 20} MiB, which is more than is read at once"
        raise UsageError(told, "split it between its lines, or export it as Parquet")
    return content


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be read: {error.strerror}",
        "name a file of `odllm-agent run`, `odllm export` or llama-bench",
    )
