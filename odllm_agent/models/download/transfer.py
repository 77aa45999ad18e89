"""Bringing files over HTTP, with the client that the hub's own library brings.

The client reads `HF_HUB_OFFLINE`, timeouts and proxies by itself, and tries again by itself where
that can help. The library's download function is not used: it keeps a cache of its own, and drops
what it has when it fails. This module, `hub_client` and `fleet_server` import the library, and are
imported only when something is to be fetched.
"""

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

# Read once, when the client is imported. Otherwise it fetches a list of programs that it looks
# for on the device, tells the hub which of them it found, and writes the list into a folder.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import httpx2
from huggingface_hub import constants
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    build_hf_headers,
    hf_raise_for_status,
    http_stream_backoff,
)

from odllm_agent.cache.cache import RemoteFile, Tell
from odllm_agent.contract import Progress
from odllm_agent.errors import DownloadFailed
from odllm_agent.models.quantizing.dry_run import allow_holes

# The client writes whole chunks only, of 10 MiB; a line that breaks sooner would bring nothing.
constants.DOWNLOAD_CHUNK_SIZE = 2**20

AGAIN = "run the command again: it goes on where it stopped"


def headers(key: str | None = None) -> dict[str, str]:
    """What is sent with every request.

    Args:
        key: What the server takes for leave; the hub's own token unless told.
    """
    version = importlib.metadata.version("odllm")
    # Bytes that a server compresses on the way cannot be counted, and so not be gone on with.
    identity = {"Accept-Encoding": "identity"}
    return build_hf_headers(
        token=key, library_name="odllm", library_version=version, headers=identity
    )


def fetch(url: str, file: RemoteFile, target: Path, tell: Tell, key: str | None = None) -> None:
    """Fetches what is missing of a file; what had come when it fails stays.

    Args:
        url: Where it is asked for.
        file: The file.
        target: Where it goes; what is there already is taken for its start.
        tell: Is told how far it is.
        key: See `headers`.

    Raises:
        HTTPError: The server could not be reached, or refuses.
        OSError: The target cannot be written, or, without `errno`, the body had another length.
    """

    def bar(*, initial: int, **_: Any) -> _Bar:
        return _Bar(tell, file, initial)

    with target.open("ab") as out:
        http_get(
            url,
            out,
            resume_size=target.stat().st_size,
            headers=headers(key),
            expected_size=file.file_bytes,
            tqdm_class=bar,  # type: ignore[arg-type]
        )


def fetch_start(
    url: str, file: RemoteFile, target: Path, most_bytes: int, key: str | None = None
) -> None:
    """Fetches the start of a file into one of its size, the rest of which is a hole.

    Args:
        url: Where it is asked for.
        file: The file.
        target: Where it goes; written anew.
        most_bytes: How much of it is fetched.
        key: See `headers`.

    Raises:
        HTTPError: The server could not be reached, or refuses.
        OSError: The target cannot be written.
    """
    wanted_bytes = min(most_bytes, file.file_bytes)
    wanted = headers(key) | {"Range": f"bytes=0-{wanted_bytes - 1}"}
    with target.open("wb") as out, http_stream_backoff("GET", url, headers=wanted) as response:
        hf_raise_for_status(response)
        for piece in response.iter_bytes():
            # A server may send all of the file whatever it was asked for.
            out.write(piece[: wanted_bytes - out.tell()])
            if out.tell() >= wanted_bytes:
                break
        allow_holes(out)
        out.truncate(file.file_bytes)


@contextmanager
def breaks_told(what: str, server: str, remedy: str) -> Iterator[None]:
    """Turns what breaks on the way into `DownloadFailed`.

    Args:
        what: What was asked for.
        server: Who was asked.
        remedy: What to look at if it could not be reached.
    """
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise DownloadFailed(
            f"{what} could not be fetched from {server}: {error or type(error).__name__}", remedy
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        # The client has no error of its own for a body that is shorter or longer than stated.
        raise DownloadFailed(
            f"{what} did not come whole: {str(error).splitlines()[0]}", AGAIN
        ) from error


class _Bar:
    """Takes the place of the progress bar that the client would draw."""

    def __init__(self, tell: Tell, file: RemoteFile, done_bytes: int) -> None:
        self._tell = tell
        self._file = file
        self._done_bytes = 0
        self.update(done_bytes)

    def update(self, more_bytes: int) -> None:
        self._done_bytes += more_bytes
        what = f"fetching {self._file.name}"
        self._tell(Progress(what, self._done_bytes, self._file.file_bytes))

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Has nothing to close."""
