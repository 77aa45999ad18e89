"""A small hub: what the real client asks of one, answered on this machine, with faults on order.

Two servers, as in the real world: one that knows repositories, and a storage on another origin that
it redirects to.
"""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests import family

COMMIT = "c0ffee" * 6 + "0001"
LATER_COMMIT = "c0ffee" * 6 + "0002"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: Answered in place of the file, if not 0.
        headers: Sent along.
        break_after_bytes: The connection ends after so many bytes of the body.
        held: The connection ends only once this is set.
        body: Sent in place of the real one.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    break_after_bytes: int | None = None
    held: threading.Event | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came.

    Attributes:
        method: `HEAD` or `GET`.
        path: The path, without a query.
        headers: Its headers, names in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Repository:
    """What the hub has under a name.

    Attributes:
        commits: The files of each commit by their paths.
        branches: The commit that each branch stands for.
        token: Who may see it, if not everyone.
        gated: Whether nobody has consented yet.
        large: Whether its files are stored apart, with a SHA-256 stated for each.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False
    large: bool = True


class Hub:
    """The state that both servers share; a test changes it at will."""

    def __init__(self) -> None:
        self.url = ""
        self.storage_url = ""
        self.repositories: dict[str, Repository] = {}
        self.ranges = True
        self.faults: deque[Fault] = deque()
        self.storage_faults: deque[Fault] = deque()
        self.asked: list[Asked] = []
        self.stored: list[Asked] = []

    def add(self, name: str, files: Mapping[str, bytes], commit: str = COMMIT) -> Repository:
        """Puts a commit into a repository and lets `main` stand for it."""
        repository = self.repositories.setdefault(name, Repository())
        repository.commits[commit] = dict(files)
        repository.branches["main"] = commit
        return repository

    def content(self, digest: str) -> bytes:
        """The stored file of that content."""
        return next(
            content
            for repository in self.repositories.values()
            for files in repository.commits.values()
            for content in files.values()
            if sha256(content) == digest
        )


@contextmanager
def running() -> Iterator[Hub]:
    """A hub on two free ports of this machine, for as long as the context lasts."""
    hub = Hub()
    with _served(_HubHandler, hub) as hub.url, _served(_StorageHandler, hub) as hub.storage_url:
        yield hub


@contextmanager
def _served(handler: type["_Handler"], hub: Hub) -> Iterator[str]:
    bound = type(handler.__name__, (handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keeps the tests' output clean."""

    def do_HEAD(self) -> None:
        self._note_and_answer()

    def do_GET(self) -> None:
        self._note_and_answer()

    def _note_and_answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._log().append(Asked(self.command, unquote(urlsplit(self.path).path), headers))
        faults = self._faults()
        fault = faults.popleft() if faults else Fault()
        if fault.status:
            self._send(fault.status, b"{}", fault.headers)
        else:
            self._answer(fault)

    def _log(self) -> list[Asked]:
        raise NotImplementedError

    def _faults(self) -> deque[Fault]:
        raise NotImplementedError

    def _answer(self, fault: Fault) -> None:
        raise NotImplementedError

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _HubHandler(_Handler):
    def _log(self) -> list[Asked]:
        return self.hub.asked

    def _faults(self) -> deque[Fault]:
        return self.hub.faults

    def _answer(self, _fault: Fault) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._answer_tree("/".join(parts[2:4]), parts[5])
        else:
            self._answer_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision and its files, or `None` once the refusal is sent."""
        repository = self.hub.repositories.get(name)
        allowed = repository and repository.token in {None, self._token()}
        if repository is None or not allowed:
            self._refuse(401 if repository else 404, "RepoNotFound")
        elif repository.gated:
            self._refuse(403, "GatedRepo")
        else:
            commit = repository.branches.get(revision, revision)
            if commit in repository.commits:
                return commit, repository.commits[commit]
            self._refuse(404, "RevisionNotFound")
        return None

    def _answer_file(self, name: str, revision: str, path: str) -> None:
        if found := self._files(name, revision):
            commit, files = found
            if path not in files:
                self._refuse(404, "EntryNotFound")
            elif self.hub.repositories[name].large:
                self._redirect(commit, files[path])
            else:
                etag = {"ETag": f'"{hashlib.sha1(files[path]).hexdigest()}"'}
                self._send(200, files[path], etag | {"X-Repo-Commit": commit})

    def _redirect(self, commit: str, content: bytes) -> None:
        digest = sha256(content)
        headers = {
            "Location": f"{self.hub.storage_url}/{digest}?signature=abc",
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(content)),
            "ETag": '"of the pointer"',
            # A repository of the newer storage; the client would take it if it were let.
            "X-Xet-Hash": digest,
            "Link": f'<{self.hub.url}/xet-token>; rel="xet-auth"',
        }
        self._send(302, b"", headers)

    def _answer_tree(self, name: str, revision: str) -> None:
        if found := self._files(name, revision):
            _, files = found
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                for path, content in files.items()
            ]
            self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "Content-Type": "application/json"})

    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None


class _StorageHandler(_Handler):
    def _log(self) -> list[Asked]:
        return self.hub.stored

    def _faults(self) -> deque[Fault]:
        return self.hub.storage_faults

    def _answer(self, fault: Fault) -> None:
        content = self.hub.content(urlsplit(self.path).path.strip("/"))
        start, end = self._range(len(content))
        body = content[start:end] if fault.body is None else fault.body
        headers = {"Content-Length": str(len(body)), **fault.headers}
        partial = (start, end) != (0, len(content))
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        if fault.break_after_bytes is not None:
            body = body[: fault.break_after_bytes]
            self.close_connection = True
        self._send(206 if partial else 200, body, headers)
        if fault.held:
            fault.held.wait(timeout=family.PATIENCE_S)

    def _range(self, all_bytes: int) -> tuple[int, int]:
        """The part of a file that a range request wants."""
        if not self.hub.ranges:
            return 0, all_bytes
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        return int(first), int(last) + 1 if last else all_bytes
