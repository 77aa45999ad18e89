"""A file of a server that is read where it is, by ranges of its bytes."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx2

# The directory of an archive lies at its end, and mostly within this.
_TAIL_BYTES = 2**16
_BLOCK_BYTES = 2**20
_TIMEOUT_S = 15.0
_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<all>\d+)")


class NoRanges(Exception):
    """Parts of a file cannot be read where it is."""


@contextmanager
def opened(url: str) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a file by its address, of this device or of a server.

    Args:
        url: Its address: `file`, `http` or `https`.

    Yields:
        The file, of which only what is read is fetched, and its size in bytes.

    Raises:
        NoRanges: The server does not give parts of it, or not to whoever asks; or it is on this
            device and cannot be opened. Reading raises it as well.
    """
    split = urlsplit(url)
    if split.scheme == "file":
        with _of_this_device(Path(url2pathname(split.path))) as file:
            yield file, file.seek(0, io.SEEK_END)
        return
    with httpx2.Client(follow_redirects=True, timeout=_TIMEOUT_S) as client:
        ranged = _Ranged(client, url)
        yield cast(BinaryIO, io.BufferedReader(ranged, _BLOCK_BYTES)), ranged.all_bytes


def _of_this_device(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise NoRanges(f"{path} cannot be opened: {error.strerror}") from error


class _Ranged(io.RawIOBase):
    """A file of a server that gives ranges.

    Raises:
        NoRanges: It gives none.
    """

    def __init__(self, client: httpx2.Client, url: str) -> None:
        self._client = client
        self._url = url
        self._at = 0
        self._tail, self.all_bytes = self._asked(f"-{_TAIL_BYTES}", _TAIL_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.all_bytes}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        end = min(self._at + len(buffer), self.all_bytes)
        if end <= self._at:
            return 0
        into_tail = self._at - (self.all_bytes - len(self._tail))
        if into_tail >= 0:
            found = self._tail[into_tail : into_tail + end - self._at]
        else:
            found, _ = self._asked(f"{self._at}-{end - 1}", end - self._at)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _asked(self, wanted: str, most_bytes: int) -> tuple[bytes, int]:
        """The bytes of a range, and the size of the whole file."""
        headers = {"Range": f"bytes={wanted}", "Accept-Encoding": "identity"}
        try:
            # Not read before its headers are: a server may send all of the file.
            with self._client.stream("GET", self._url, headers=headers) as response:
                told = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if response.status_code != httpx2.codes.PARTIAL_CONTENT or told is None:
                    raise NoRanges(f"the server answers {response.status_code} to a range")
                found = b"".join(response.iter_bytes())
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise NoRanges(str(error) or type(error).__name__) from error
        if len(found) != int(told["last"]) + 1 - int(told["first"]) or len(found) > most_bytes:
            raise NoRanges("the server gives another range than the one asked for")
        return found, int(told["all"])
