"""Standard output and error that outlast whoever reads them.

A reader that has had enough, as `head` has, is no reason to end a measurement, nor to call what it
found a failure: what nobody reads is dropped. A disk that is full is told once, at the end.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


class _Raw(io.FileIO):
    """A descriptor that takes everything, also after writing to it has gone wrong."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None
        self.raises = False

    def write(self, data: Any, /) -> int:
        """Writes it, or drops it once that has failed."""
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
                if self.raises:
                    raise
        return memoryview(data).nbytes


def outlast_readers() -> None:
    """Gives this process such streams; where one was closed, one that leads nowhere."""
    for descriptor in (_INPUT, _OUTPUT, _ERROR):
        _open_if_closed(descriptor)
    sys.stdin = sys.stdin or open(_INPUT, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout = _lasting(_OUTPUT, sys.stdout)
    sys.stderr = _lasting(_ERROR, sys.stderr)


def is_read() -> bool:
    """Whether standard output still goes somewhere."""
    raw = _raw_of(sys.stdout)
    return raw is None or raw.error is None


@contextlib.contextmanager
def until_unread() -> Iterator[None]:
    """Ends a context that writes much once what it writes goes nowhere."""
    raw = _raw_of(sys.stdout)
    try:
        if raw:
            raw.raises = True
        yield
        sys.stdout.flush()
    except OSError as error:
        if raw is None or error is not raw.error:
            raise
    finally:
        if raw:
            raw.raises = False


def why_lost() -> OSError | None:
    """What kept standard output from being written, if it was no reader that had had enough."""
    sys.stdout.flush()
    sys.stderr.flush()
    raw = _raw_of(sys.stdout)
    if raw is None or isinstance(raw.error, BrokenPipeError):
        return None
    return raw.error


def _open_if_closed(descriptor: int) -> None:
    """Or else the next file that is opened would be taken for it, be it the store."""
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
        os.set_inheritable(descriptor, True)


def _lasting(descriptor: int, stream: TextIO | None) -> TextIO:
    # A console of Windows is no file.
    if sys.platform == "win32" and stream is not None and stream.isatty():
        return stream
    is_error = descriptor == _ERROR
    encoding = stream.encoding if stream else "utf-8"
    # What the file system let through, as a path, comes out as it was.
    utf_8 = encoding.lower().replace("-", "") == "utf8"
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(descriptor)),
        encoding=encoding,
        errors="surrogateescape" if utf_8 else "backslashreplace",
        line_buffering=is_error or bool(getattr(stream, "line_buffering", False)),
        write_through=bool(getattr(stream, "write_through", False)),
    )


def _raw_of(stream: TextIO) -> _Raw | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Raw) else None
