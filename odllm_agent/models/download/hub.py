"""The source `hub`: a model file of a repository on the Hugging Face hub, or on one like it."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

from odllm_agent.cache.cache import Cache, CachedFile, Download, Tell
from odllm_agent.contract import ModelRequest, Progress
from odllm_agent.errors import ChecksumMismatch, UsageError
from odllm_agent.files.checksum import joint_sha256
from odllm_agent.models.download import hub_client
from odllm_agent.models.download.fleet_server import FleetServer
from odllm_agent.models.download.hub_client import Resolved
from odllm_agent.models.download.hub_file import HubFile
from odllm_agent.models.download.supply import fleet_first
from odllm_agent.models.origin import Origin
from odllm_agent.models.outline import outline


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
    found = cache.find(download_of(wanted)) if wanted.pinned else None
    if not found and stated:
        found = cache.file(stated)
    found = found or _fetched(wanted, stated, cache)
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
    there = cache.noted(download_of(wanted)) if wanted.pinned else None
    if there:
        return Origin(there.path, there.sha256)

    def outlined(server: FleetServer | ModuleType) -> Origin:
        resolved = server.resolve(wanted)
        _checked(resolved, wanted, stated)
        return outline(resolved.files, folder, partial(server.fetch_start, resolved.at))

    return fleet_first(outlined, lambda _: outlined(hub_client))


def fetched(resolved: Resolved, cache: Cache, tell: Tell, trouble: str = "") -> CachedFile:
    """The model in the cache, fetched from the hub itself if it is not there yet.

    Args:
        resolved: What the hub says of it.
        cache: Where it goes.
        tell: Is told how far it is.
        trouble: Why it did not come from the fleet's model server, or `""`.

    Raises:
        AccessDenied: The hub does not give the file to whoever asks.
        ChecksumMismatch: It came damaged.
        DownloadFailed: The hub did not give all of it.
        DiskFull: There is no room for it.
    """
    return cache.fetched(
        download_of(resolved.at),
        resolved.files,
        lambda file, target: hub_client.fetch(resolved.at, file, target, tell),
        {"not_by_fleet": trouble} if trouble else {},
    )


def download_of(file: HubFile) -> Download:
    """What the cache knows a file of a hub by."""
    return Download(f"hub:{file}")


def _asked(request: ModelRequest) -> tuple[HubFile, str | None]:
    """The file that a request names, and the checksum that it states."""
    return HubFile.of(request.location), request.sha256.lower() if request.sha256 else None


def _fetched(wanted: HubFile, stated: str | None, cache: Cache) -> CachedFile:
    def from_fleet(fleet: FleetServer) -> CachedFile:
        resolved = fleet.resolve(wanted)
        _checked(resolved, wanted, stated)
        # Before the cache is locked: a server on this device may share it.
        fleet.wait_for(resolved.at, cache.tell)
        return cache.fetched(
            download_of(resolved.at),
            resolved.files,
            lambda file, target: fleet.fetch(resolved.at, file, target, cache.tell),
            fleet.told(stated),
        )

    def from_hub(trouble: str) -> CachedFile:
        def tell(progress: Progress) -> None:
            why = f" from the hub, because {trouble}" if trouble else ""
            cache.tell(replace(progress, what=f"{progress.what}{why}"))

        resolved = hub_client.resolve(wanted)
        _checked(resolved, wanted, stated)
        return fetched(resolved, cache, tell, trouble)

    return fleet_first(from_fleet, from_hub)


def _checked(resolved: Resolved, wanted: HubFile, stated: str | None) -> None:
    """Makes sure that what a server has under a name is what is asked for."""
    sha256 = joint_sha256([file.sha256 for file in resolved.files])
    if stated is None and not wanted.pinned:
        raise UsageError(
            f"{wanted} may be another file tomorrow: {wanted.revision!r} is no commit",
            f"name the revision {resolved.at.revision}, which it stands for now, or state its "
            f"sha256, {sha256}",
        )
    if stated not in {None, sha256}:
        raise ChecksumMismatch(
            f"{wanted} is not the file that was named: at the commit {resolved.at.revision} its "
            f"SHA-256 is {sha256}, and it should be {stated}",
            "name the commit that held it, or correct the checksum if the newer file is meant",
        )
