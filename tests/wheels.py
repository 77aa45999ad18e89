"""Wheels, and a small index of them that the real pip asks, with faults on order."""

import hashlib
import re
import threading
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests import family
from tests.hub_server import Asked, Fault


def write_wheel(folder: Path, package: str, members: Mapping[str, bytes]) -> Path:
    """Writes a wheel that pip takes.

    Args:
        folder: Where it goes.
        package: As `NAME==VERSION`.
        members: What it holds, by paths in it.

    Returns:
        Its path.
    """
    name, _, version = package.replace("-", "_").partition("==")
    info = f"{name}-{version}.dist-info"
    own = {
        f"{name}/__init__.py": b"raise RuntimeError('code of a package was run')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, content in (own | dict(members)).items():
            archive.writestr(place, content)
    return path


class Index:
    """A package index; a test changes it at will.

    Attributes:
        url: What pip is told of it.
        wheels: What it has, by the names of their files.
        ranges: Whether it gives parts of files.
        faults: What goes wrong with the next requests for files.
        status: Answered to everything, if not 0.
        asked: All requests.
    """

    def __init__(self) -> None:
        self.url = ""
        self.wheels: dict[str, bytes] = {}
        self.ranges = True
        self.faults: deque[Fault] = deque()
        self.status = 0
        self.asked: list[Asked] = []

    def add(self, wheel: Path) -> None:
        """Takes a wheel up."""
        self.wheels[wheel.name] = wheel.read_bytes()

    @property
    def files_asked(self) -> list[str]:
        """The files that were asked for, in their order."""
        return [each.path.rpartition("/")[2] for each in self.asked if each.path.endswith(".whl")]


@contextmanager
def running() -> Iterator[Index]:
    """An index on a free port of this machine, for as long as the context lasts."""
    index = Index()
    bound = type("_Bound", (_Handler,), {"index": index})
    with ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        index.url = f"http://127.0.0.1:{server.server_port}/simple"
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    index: Index
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keeps the tests' output clean."""

    def do_GET(self) -> None:
        path = unquote(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.index.asked.append(Asked("GET", path, headers))
        name = path.strip("/").rpartition("/")[2]
        if self.index.status:
            self._send(self.index.status, b"")
        elif path.startswith("/simple/"):
            self._send_page(name)
        else:
            self._send_file(self.index.wheels[name])

    def _send_page(self, package: str) -> None:
        links = [
            f'<a href="/files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
            for name, content in self.index.wheels.items()
            if name.partition("-")[0].replace("_", "-") == package
        ]
        page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        self._send(200 if links else 404, page, {"Content-Type": "text/html"})

    def _send_file(self, content: bytes) -> None:
        fault = self.index.faults.popleft() if self.index.faults else Fault()
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if fault.status:
            self._send(fault.status, b"")
        elif wanted and self.index.ranges:
            first, last = self._range(wanted[1], wanted[2], len(content))
            told = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            self._send(206, content[first : last + 1], told)
        elif fault.break_after_bytes is None:
            # What has one may be kept by whoever asks.
            self._send(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})
        else:
            self.close_connection = True
            told = {"Content-Length": str(len(content))}
            self._send(200, content[: fault.break_after_bytes], told)
            if fault.held:
                fault.held.wait(timeout=family.PATIENCE_S)

    def _range(self, first: str, last: str, all_bytes: int) -> tuple[int, int]:
        if not first:
            return max(0, all_bytes - int(last)), all_bytes - 1
        return int(first), min(int(last or all_bytes), all_bytes - 1)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        # pip is ended in the middle where only its word was wanted.
        with suppress(ConnectionError):
            self.wfile.write(body)
