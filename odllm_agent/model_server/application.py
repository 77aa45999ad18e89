"""The paths of the model server and its answers.

| path | answer |
| --- | --- |
| `/hub/OWNER/NAME/resolve/REVISION/FILE` | a file of a hub as the hub itself would give it |
| `/fetches/OWNER/NAME/resolve/REVISION/FILE` | how far the fetch of that model is, which begins |
| `/sha256/SHA256` | the files of a model of the cache, with their checksums and sizes |
| `/sha256/SHA256/SHA256` | one of them |

Each file has its SHA-256 as its ETag and may be asked for by ranges. A file of a hub that is not in
the cache is fetched first, but for a closed range at its start that is no longer than a header: of
that only the start is fetched. Nothing in a request becomes a path of a file; it is looked up.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from odllm_agent.cache.cache import RemoteFile
from odllm_agent.errors import AccessDenied, DiskFull, ModelMissing, OdllmError, UsageError
from odllm_agent.formats.split import first_name
from odllm_agent.model_server.guard import Guard, told
from odllm_agent.model_server.library import Library, Stock
from odllm_agent.model_server.starts import Starts
from odllm_agent.models.download.hub_file import HubFile
from odllm_agent.models.outline import START_BYTES

_HUB_PATH = "/{owner}/{name}/resolve/{revision}/{file:path}"
_SHA256 = re.compile("[0-9a-f]{64}")
_START = re.compile(r"bytes=0-(\d{1,12})")
_STATUSES: Mapping[type[OdllmError], int] = {
    UsageError: 400,
    ModelMissing: 404,
    AccessDenied: 403,
    DiskFull: 507,
}
_NOT_HAD = 502

_log = logging.getLogger(__name__)


def application(library: Library, starts: Starts, key: str) -> ASGIApp:
    """The model server, to be run by an ASGI server.

    Args:
        library: What is served.
        starts: Starts of files that are not in it.
        key: What has to be sent with every request.
    """
    routes = [
        Route(f"/hub{_HUB_PATH}", partial(_hub_file, library, starts)),
        Route(f"/fetches{_HUB_PATH}", partial(_fetch, library)),
        Route("/sha256/{sha256}", partial(_files, library)),
        Route("/sha256/{sha256}/{part}", partial(_content, library)),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={OdllmError: _refused}), key)


async def _hub_file(library: Library, starts: Starts, request: Request) -> Response:
    wanted, part = _named(request)
    if request.method == "HEAD":
        return await _description(library, wanted, part)
    stock = await run_in_threadpool(library.find, wanted)
    if stock is None:
        resolved = await run_in_threadpool(library.resolve, wanted)
        wanted, file = resolved.at, resolved.files[part]
        if start_bytes := _start_bytes(request):
            path = await run_in_threadpool(starts.get, wanted, file, start_bytes)
            return _answer(request, file, path, wanted)
        # Who stops waiting does not stop it for the others.
        await asyncio.shield(asyncio.wrap_future(library.fetch(wanted).ended))
        stock = await run_in_threadpool(library.find, wanted)
    if stock is None:
        raise ModelMissing(f"{wanted} was fetched and removed again")
    request.state.stock = stock
    return _answer(request, stock.files[part], stock.paths[part], wanted)


async def _description(library: Library, wanted: HubFile, part: int) -> Response:
    resolved = await run_in_threadpool(library.resolve, wanted)
    file = resolved.files[part]
    headers = _headers(file, resolved.at) | {"Content-Length": str(file.file_bytes)}
    return Response(headers=headers)


async def _fetch(library: Library, request: Request) -> Response:
    wanted, _ = _named(request)
    if not wanted.pinned:
        raise UsageError(f"{wanted} is not at a commit")
    if await run_in_threadpool(library.find, wanted):
        return JSONResponse({"done": True})
    fetching = library.fetch(wanted)
    if fetching.ended.done():
        fetching.ended.result()
    return JSONResponse({"done": False, **asdict(fetching.progress)})


async def _files(library: Library, request: Request) -> Response:
    stock = await _stock(library, request)
    return JSONResponse({"files": [asdict(file) for file in stock.files]})


async def _content(library: Library, request: Request) -> Response:
    stock = request.state.stock = await _stock(library, request)
    for file, path in zip(stock.files, stock.paths, strict=True):
        if file.sha256 == request.path_params["part"]:
            return _answer(request, file, path)
    raise ModelMissing("that model has no such file")


async def _stock(library: Library, request: Request) -> Stock:
    sha256 = request.path_params["sha256"]
    # Only what has the form of a checksum is looked for on the disk.
    stock = await run_in_threadpool(library.content, sha256) if _SHA256.fullmatch(sha256) else None
    if stock is None:
        raise ModelMissing("there is no such model in the cache")
    return stock


def _named(request: Request) -> tuple[HubFile, int]:
    """The model that a request names, and which of its files.

    Raises:
        UsageError: The names are none of a hub.
    """
    names = request.path_params
    first = first_name(names["file"])
    wanted = HubFile.of(f"{names['owner']}/{names['name']}/{first}@{names['revision']}")
    if names["file"] not in wanted.parts:
        raise UsageError("there is no such part of a model")
    return wanted, wanted.parts.index(names["file"])


def _start_bytes(request: Request) -> int:
    """How much of the start of a file is asked for, if it is no longer than a header; or 0."""
    match = _START.fullmatch(request.headers.get("range", ""))
    wanted_bytes = int(match[1]) + 1 if match else 0
    return wanted_bytes if wanted_bytes <= START_BYTES[-1] else 0


def _answer(request: Request, file: RemoteFile, path: Path, at: HubFile | None = None) -> Response:
    _log.info("%s, %s", told(request.scope), request.headers.get("range", "all of it")[:40])
    return FileResponse(path, headers=_headers(file, at), media_type="application/octet-stream")


def _headers(file: RemoteFile, at: HubFile | None) -> dict[str, str]:
    headers = {"ETag": f'"{file.sha256}"', "Accept-Ranges": "bytes"}
    return headers | {"X-Repo-Commit": at.revision} if at else headers


async def _refused(request: Request, error: Exception) -> Response:
    message = error.message if isinstance(error, OdllmError) else str(error)
    status = next((_STATUSES[kind] for kind in type(error).mro() if kind in _STATUSES), _NOT_HAD)
    _log.warning("status %d for %s: %s", status, told(request.scope), ascii(message))
    return JSONResponse({"error": message}, status)
