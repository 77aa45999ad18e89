"""The source `file`: a path on the device, or what the fleet's model server has of its checksum."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from odllm_agent.cache.cache import Cache, CachedFile, Download, RemoteFile
from odllm_agent.cache.growth import growing
from odllm_agent.contract import ModelRequest
from odllm_agent.errors import ModelMissing
from odllm_agent.files.checksum import joint_sha256, read_through
from odllm_agent.files.typed_path import typed_path
from odllm_agent.models.download.supply import fleet_first
from odllm_agent.models.origin import Origin
from odllm_agent.models.outline import outline

if TYPE_CHECKING:
    from odllm_agent.models.download.fleet_server import FleetServer


def locate(request: ModelRequest, cache: Cache) -> Origin:
    """The file at the request's location.

    If there is none and its checksum is stated, it is the file of that checksum in the cache,
    fetched from the fleet's model server if it is not there yet.

    Raises:
        ModelMissing: There is none, and the fleet's model server does not give it.
        DiskFull: There is no room for it.
    """
    path = typed_path(request.location).absolute()
    if request.sha256 is None or path.exists():
        return Origin(path)
    found = _elsewhere(path, request.sha256.lower(), cache)
    return Origin(found.path, found.sha256)


def foresee(request: ModelRequest, cache: Cache, folder: Path) -> Origin:
    """The same file, or one of its size of which only the header was fetched; see `locate`."""
    path = typed_path(request.location).absolute()
    if request.sha256 is None or path.exists():
        return Origin(path)
    sha256 = request.sha256.lower()
    there = cache.file(sha256)
    if there:
        return Origin(there.path, sha256)

    def outlined(fleet: "FleetServer") -> Origin:
        return outline(fleet.content(sha256), folder, partial(fleet.fetch_content_start, sha256))

    return fleet_first(outlined, partial(_missing, path))


def add(parts: Sequence[Path], cache: Cache) -> CachedFile:
    """Copies a model into the cache, from where it can be served.

    Args:
        parts: Its files, in the order of its parts.
        cache: Where it goes.

    Raises:
        ModelInvalid: A file cannot be read through.
        DiskFull: There is no room for it.
        UsageError: The cache's folder cannot be written to.
    """
    states = read_through(parts)
    files = {
        RemoteFile(part.name, each.sha256, each.file_bytes): part
        for part, each in zip(parts, states, strict=True)
    }

    def copy(file: RemoteFile, target: Path) -> None:
        with growing(target, f"copying {file.name}", file.file_bytes, cache.tell):
            shutil.copyfile(files[file], target)

    sha256 = joint_sha256([each.sha256 for each in states])
    return cache.fetched(Download(f"file:{parts[0]}@{sha256}"), tuple(files), copy)


def _elsewhere(path: Path, sha256: str, cache: Cache) -> CachedFile:
    def from_fleet(fleet: "FleetServer") -> CachedFile:
        return fleet.content_fetched(sha256, Download(f"file:{path}@{sha256}"), cache)

    return cache.file(sha256) or fleet_first(from_fleet, partial(_missing, path))


def _missing(path: Path, _trouble: str) -> NoReturn:
    raise ModelMissing(
        f"there is no file {path} on this device",
        "correct the path, or give the file to the fleet's model server: "
        "`odllm-agent models add FILE` on its machine",
    )
