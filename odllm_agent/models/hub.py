"""The source `hub`: a model file of a repository on the Hugging Face hub, or on one like it."""

import contextlib
from pathlib import Path, PurePosixPath

from odllm_agent.cache.cache import Cache, CachedFile, Download
from odllm_agent.cache.checksum import joint_sha256
from odllm_agent.contract import ModelRequest
from odllm_agent.errors import ChecksumMismatch, ModelInvalid, UsageError
from odllm_agent.models import hub_client
from odllm_agent.models.header import read_header
from odllm_agent.models.hub_client import Resolved
from odllm_agent.models.hub_file import HubFile
from odllm_agent.models.origin import Origin

# Headers with a whole vocabulary take 6 to 20 MB; no reader here takes more than the last.
_START_BYTES = (8 * 2**20, 64 * 2**20)


def locate(request: ModelRequest, cache: Cache) -> Origin:
    """The file in the cache, fetched if it is not there yet.

    What is there and certain to be what is asked for is taken without any network.

    Raises:
        UsageError: A name is no name of a hub, or neither a commit nor a checksum is stated.
        ModelMissing: There is no such repository, revision or file.
        AccessDenied: The hub does not give the file to whoever asks.
        ChecksumMismatch: It is not the file that was named, or came damaged.
        DownloadFailed: The hub could not be reached, or did not give all of the file.
        DiskFull: There is no room for it.
    """
    wanted, stated = _asked(request)
    found = _cached(wanted, stated, cache) or _fetched(wanted, stated, cache)
    return Origin(found.path, found.sha256)


def foresee(request: ModelRequest, cache: Cache, folder: Path) -> Origin:
    """The file in the cache, or one of its size of which only the header was fetched.

    Raises:
        UsageError: A name is no name of a hub, or neither a commit nor a checksum is stated.
        ModelMissing: There is no such repository, revision or file.
        ModelInvalid: What lies there is no GGUF file.
        AccessDenied: The hub does not give the file to whoever asks.
        ChecksumMismatch: It is not the file that was named.
        DownloadFailed: The hub could not be reached.
    """
    wanted, stated = _asked(request)
    there = cache.noted(_download(wanted)) if wanted.pinned else None
    if there:
        return Origin(there.path, there.sha256)
    resolved, sha256 = _resolved(wanted, stated)
    return Origin(
        path=_outline(resolved, folder / sha256),
        sha256=sha256,
        download_bytes=sum(file.file_bytes for file in resolved.files),
    )


def _asked(request: ModelRequest) -> tuple[HubFile, str | None]:
    """The file that a request names, and the checksum that it states."""
    return HubFile.of(request.location), request.sha256.lower() if request.sha256 else None


def _outline(resolved: Resolved, folder: Path) -> Path:
    """A model of the right size with its header, and a hole in the place of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / PurePosixPath(file.name).name for file in resolved.files]
    for start_bytes in _START_BYTES:
        for file, path in zip(resolved.files, paths, strict=True):
            hub_client.fetch_start(resolved.at, file, path, start_bytes)
        with contextlib.suppress(ModelInvalid):
            read_header(paths[0])
            break
    return paths[0]


def _cached(wanted: HubFile, stated: str | None, cache: Cache) -> CachedFile | None:
    found = cache.find(_download(wanted)) if wanted.pinned else None
    return found or (cache.file(stated) if stated else None)


def _fetched(wanted: HubFile, stated: str | None, cache: Cache) -> CachedFile:
    resolved, _ = _resolved(wanted, stated)
    return cache.fetched(
        _download(resolved.at),
        resolved.files,
        lambda file, target: hub_client.fetch(resolved.at, file, target, cache.tell),
    )


def _resolved(wanted: HubFile, stated: str | None) -> tuple[Resolved, str]:
    """What the hub has under a name, and the checksum that stands for it, found to be as stated."""
    resolved = hub_client.resolve(wanted)
    sha256 = joint_sha256([file.sha256 for file in resolved.files])
    if stated is None and not wanted.pinned:
        raise _unpinned(wanted, resolved, sha256)
    if stated not in {None, sha256}:
        raise ChecksumMismatch(
            f"{wanted} is not the file that was named: at the commit {resolved.at.revision} its "
            f"SHA-256 is {sha256}, and it should be {stated}",
            "name the commit that held it, or correct the checksum if the newer file is meant",
        )
    return resolved, sha256


def _download(file: HubFile) -> Download:
    return Download(f"hub:{file}")


def _unpinned(wanted: HubFile, resolved: Resolved, sha256: str) -> UsageError:
    return UsageError(
        f"{wanted} may be another file tomorrow: {wanted.revision!r} is no commit",
        f"name the revision {resolved.at.revision}, which it stands for now, or state its "
        f"sha256, {sha256}",
    )
