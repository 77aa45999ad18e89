"""What is asked of the fleet's model server.

Its address is in `ODLLM_MODEL_SERVER`, and the file with the fleet's token in
`ODLLM_FLEET_TOKEN_FILE`. An `https` address is checked against the authority in `RAY_TLS_CA_CERT`
where that is set, the same that Ray's own connections are checked against. No proxy stands between
the devices of a fleet, and the hub's offline mode does not concern them.
"""

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from odllm_agent.files.typed_path import typed_path

from odllm_agent.models.download import transfer  # isort: skip - sets the client up before it is imported

import httpx2
from huggingface_hub import get_hf_file_metadata, get_session, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    hf_raise_for_status,
    http_backoff,
)

from odllm_agent.cache.cache import Cache, CachedFile, Download, RemoteFile, Tell
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Progress
from odllm_agent.errors import AccessDenied, DownloadFailed
from odllm_agent.files.checksum import joint_sha256
from odllm_agent.models.download.hub_client import Resolved
from odllm_agent.models.download.hub_file import HubFile
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE, TOKEN_VARIABLE, read_key

AUTHORITY_VARIABLE = "RAY_TLS_CA_CERT"

_SHA256 = re.compile("[0-9a-f]{64}")
_ASK_EVERY_S = 1.0
# A server may have to read a large file through before it answers; one that is there connects soon.
_TIMEOUT = httpx2.Timeout(120.0, connect=10.0)
_STALLED_AFTER_S = 120.0
_RETRIES = 3
_REMEDY = "look whether `odllm fleet up` runs its model server, and with this fleet's token"
# What the client does before it asks the hub: it refuses to in offline mode.
_HUB_HOOKS = get_session().event_hooks["request"]


@dataclass(frozen=True, slots=True)
class FleetServer:
    """The model server of a fleet.

    Attributes:
        address: Such as `http://192.168.1.5:7867`.
        key: What it takes for leave.
    """

    address: str
    key: str = field(repr=False)

    @classmethod
    def of_environment(cls) -> "FleetServer":
        """The server that this process was told of.

        Raises:
            AccessDenied: The file with the fleet's token is not named or cannot be read.
        """
        address = os.environ[ADDRESS_VARIABLE].rstrip("/")
        token_file = os.environ.get(TOKEN_VARIABLE, "")
        try:
            return cls(address, read_key(typed_path(token_file)))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise AccessDenied(
                f"{TOKEN_VARIABLE}={token_file} holds no token for the fleet's model server: "
                f"{reason}",
                "name the file that `odllm fleet up` made",
            ) from error

    def __str__(self) -> str:
        return f"the fleet's model server {self.address}"

    def told(self, stated: str | None) -> dict[str, str]:
        """What is remembered of a file that came from here: by whom, and what it was held against.

        Args:
            stated: The checksum that an experiment states for it, which it was found to have.
        """
        checked = "the checksum that was stated" if stated else "the server's ETag alone"
        return {"by": str(self), "checked_against": checked}

    def resolve(self, wanted: HubFile) -> Resolved:
        """Asks which commit a revision stands for, and what is stored there; see `hub_client`.

        Raises:
            AccessDenied: The server does not take the key.
            DownloadFailed: It cannot be reached, or cannot tell.
        """
        commit, first = self._described(wanted, wanted.file)
        at = replace(wanted, revision=commit)
        return Resolved(at, (first, *(self._described(at, part)[1] for part in wanted.parts[1:])))

    def wait_for(self, at: HubFile, tell: Tell) -> None:
        """Waits until the server has a model, which it fetches once for all who ask.

        Args:
            at: The model, at a commit.
            tell: Is told how far the server is.

        Raises:
            AccessDenied: The server does not take the key.
            DownloadFailed: It cannot be reached, could not get the model, or comes no further.
        """
        last, since_ns = (-1, -1), monotonic_ns()
        while True:
            told = self._asked(f"{self.address}/fetches/{_hub_path(at, at.file)}", str(at))
            if told["done"]:
                return
            done_bytes, total_bytes = int(told["done_bytes"]), int(told["total_bytes"])
            tell(Progress(f"{self} is {told['what']}", done_bytes, total_bytes))
            if last != (done_bytes, total_bytes):
                last, since_ns = (done_bytes, total_bytes), monotonic_ns()
            if seconds_since(since_ns) > _STALLED_AFTER_S:
                raise DownloadFailed(f"{self} comes no further with {at}", _REMEDY)
            time.sleep(_ASK_EVERY_S)

    def content(self, sha256: str) -> tuple[RemoteFile, ...]:
        """The files of the model with that checksum.

        Raises:
            AccessDenied: The server does not take the key.
            DownloadFailed: It cannot be reached, or has no such model.
        """
        told = self._asked(f"{self.address}/sha256/{sha256}", f"the model {sha256}")
        with self._broken_answers_told(sha256):
            files = tuple(RemoteFile(**each) for each in told["files"])
            if joint_sha256([_sound(file).sha256 for file in files]) != sha256:
                raise ValueError("it tells of another model")
        return files

    def content_fetched(self, sha256: str, download: Download, cache: Cache) -> CachedFile:
        """The model with that checksum in the cache, fetched from here if it is not there yet.

        Args:
            sha256: The checksum, as an experiment states it.
            download: What the cache is to know the model by.
            cache: Where it goes.

        Raises:
            AccessDenied: The server does not take the key.
            ChecksumMismatch: It came damaged.
            DownloadFailed: The server cannot be reached, or has no such model.
            DiskFull: There is no room for it.
        """
        return cache.fetched(
            download,
            self.content(sha256),
            lambda file, target: self._fetch_content(sha256, file, target, cache.tell),
            self.told(sha256),
        )

    def fetch(self, at: HubFile, file: RemoteFile, target: Path, tell: Tell) -> None:
        """Fetches what is missing of a file of a hub; see `transfer.fetch`."""
        self._fetch(f"{self.address}/hub/{_hub_path(at, file.name)}", file, target, tell)

    def fetch_start(self, at: HubFile, file: RemoteFile, target: Path, most_bytes: int) -> None:
        """Fetches the start of a file of a hub; see `transfer.fetch_start`."""
        url = f"{self.address}/hub/{_hub_path(at, file.name)}"
        with self._errors_told(file.name):
            transfer.fetch_start(url, file, target, most_bytes, self.key)

    def fetch_content_start(
        self, sha256: str, file: RemoteFile, target: Path, most_bytes: int
    ) -> None:
        """Fetches the start of a file that its checksum names; see `transfer.fetch_start`."""
        url = f"{self.address}/sha256/{sha256}/{file.sha256}"
        with self._errors_told(file.name):
            transfer.fetch_start(url, file, target, most_bytes, self.key)

    def _fetch_content(self, sha256: str, file: RemoteFile, target: Path, tell: Tell) -> None:
        self._fetch(f"{self.address}/sha256/{sha256}/{file.sha256}", file, target, tell)

    def _fetch(self, url: str, file: RemoteFile, target: Path, tell: Tell) -> None:
        with self._errors_told(file.name):
            transfer.fetch(url, file, target, tell, self.key)

    def _described(self, source: HubFile, name: str) -> tuple[str, RemoteFile]:
        url = f"{self.address}/hub/{_hub_path(source, name)}"
        with self._errors_told(name):
            found = get_hf_file_metadata(
                url,
                token=self.key,
                headers=transfer.headers(self.key),
                timeout=_TIMEOUT,  # type: ignore[arg-type]  # handed on to the client as it is
            )
        at = replace(source, revision=found.commit_hash or "")
        moved = source.pinned and at != source
        with self._broken_answers_told(name):
            if moved or not at.pinned:
                raise ValueError("it names no commit, or another one")
            return at.revision, _sound(RemoteFile(name, found.etag or "", found.size or 0))

    def _asked(self, url: str, what: str) -> dict[str, Any]:
        with self._errors_told(what):
            response = http_backoff(
                "GET",
                url,
                headers=transfer.headers(self.key),
                timeout=_TIMEOUT,
                max_retries=_RETRIES,
                retry_on_status_codes=(),
            )
            hf_raise_for_status(response)
        with self._broken_answers_told(what):
            return dict(response.json())

    @contextmanager
    def _errors_told(self, what: str) -> Iterator[None]:
        with transfer.breaks_told(what, str(self), _REMEDY):
            try:
                yield
            except HfHubHTTPError as error:
                status = error.response.status_code
                kind = AccessDenied if status == 401 else DownloadFailed
                said = f": {error.server_message}" if error.server_message else ""
                raise kind(f"{self} refuses {what} (status {status}){said}", _REMEDY) from error

    @contextmanager
    def _broken_answers_told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            raise self._no_such_server(what) from error

    def _no_such_server(self, what: str) -> DownloadFailed:
        return DownloadFailed(f"{self} does not answer as one when asked for {what}", _REMEDY)


def _sound(file: RemoteFile) -> RemoteFile:
    """The file as a server describes it, if that can be one.

    Raises:
        ValueError: It cannot. Its checksum becomes the name of a file here.
    """
    if not _SHA256.fullmatch(file.sha256) or not isinstance(file.file_bytes, int):
        raise ValueError("a checksum or a size is none")
    return file


def _hub_path(source: HubFile, name: str) -> str:
    return f"{source.repository}/resolve/{quote(source.revision, safe='')}/{quote(name)}"


def _client() -> httpx2.Client:
    """The hub's client, but for what goes to the fleet's server."""
    address = os.environ.get(ADDRESS_VARIABLE, "").rstrip("/")
    authority = typed_path(os.environ.get(AUTHORITY_VARIABLE, ""))
    verify = ssl.create_default_context(cafile=authority) if authority.is_file() else True

    def hook(request: httpx2.Request) -> None:
        if not (address and str(request.url).startswith(f"{address}/")):
            for each in _HUB_HOOKS:
                each(request)

    return httpx2.Client(
        event_hooks={"request": [hook]},
        follow_redirects=True,
        timeout=None,
        mounts={address: httpx2.HTTPTransport(verify=verify)} if address else None,
    )


set_client_factory(_client)
