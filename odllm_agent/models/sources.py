"""From what an experiment asks for to a checked model file on this device."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import ModuleType
from typing import cast

from odllm_agent.cache.cache import Cache
from odllm_agent.cache.change import refuse_changed
from odllm_agent.contract import Card, FileState, ModelFile, ModelRequest, Source
from odllm_agent.errors import (
    ChecksumMismatch,
    ModelMissing,
    ModelTooLarge,
    UsageError,
)
from odllm_agent.files.checksum import joint_sha256, read_through, state
from odllm_agent.formats import split
from odllm_agent.formats.anatomy import anatomy
from odllm_agent.formats.card import name_of_file
from odllm_agent.formats.header import Header, read_header
from odllm_agent.host.memory_fit import why_too_large
from odllm_agent.models import ir_folder
from odllm_agent.models.origin import Origin
from odllm_agent.models.quantizing import derived, quantizer, remarks

# Each module has `locate(request, cache) -> Origin` and is imported only when it is asked for. One
# that can tell of a model without fetching more than headers or keeping anything has
# `foresee(request, cache, folder) -> Origin` too, which writes into the folder alone.
_MODULES: Mapping[Source, str] = {
    Source.REFERENCE: "odllm_agent.models.ladder",
    Source.FILE: "odllm_agent.models.local_file",
    Source.SHAPE: "odllm_agent.models.shape",
    Source.HUB: "odllm_agent.models.download.hub",
    Source.PACKAGE: "odllm_agent.models.download.package",
}
_UNTOLD = Card()
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A model file as `prepare` would give it.

    Attributes:
        header: Its header; the file that it was read from may have a hole where weights would be.
            `None` of a folder in OpenVINO's form.
        model: Its description, without path and checksum.
        source: Where it would be made from, so that files of one model can be told from others.
        download_bytes: What would have to be fetched.
        disk_bytes: What would be newly written into the cache.
    """

    header: Header | None
    model: ModelFile
    source: Path
    download_bytes: int
    disk_bytes: int


def prepare(request: ModelRequest, cache: Cache, available_bytes: int) -> ModelFile:
    """Gets a model file onto this device, of the type asked for, and checks it.

    A file that is ready, or was made before, is only checked.

    Args:
        request: What to get.
        cache: Where files that are made here are kept.
        available_bytes: The memory that the device has free for the model.

    Raises:
        UsageError: There is no such reference model or shape, the source is quantized already, or
            a file of a hub is not pinned.
        ModelMissing: There is no such file, or a part of it is missing.
        ModelInvalid: It is not a whole GGUF file that llama.cpp can read.
        ChecksumMismatch: It is not the file that was named.
        ModelChanged: It was changed meanwhile.
        AccessDenied: A hub does not give the file to whoever asks.
        DownloadFailed: A hub did not give all of it.
        ModelTooLarge: The file asked for does not fit in `available_bytes`.
        DiskFull: There is no room for a fetched or quantized file.
        EngineError: The quantizer is missing or failed.
    """
    stated = _stated_checksum(request)
    origin = cast(Origin, source_of(request).locate(request, cache))
    if ir_folder.is_ir_folder(origin.path):
        return _folder(_named(request), origin.path, stated, available_bytes)
    source = read_header(origin.path)
    request = _named(request, source.card, source.quantization)
    wanted = derived.wanted(request, source, origin)
    # Before the file is read through: the checksum of what can't run anyway could take minutes.
    least_bytes = quantizer.least_bytes(source, wanted) if wanted else source.file_bytes
    _refuse_too_large(request, least_bytes, available_bytes)
    sha256, files = _checksum(source, origin, stated)
    # What it says of itself is read again: it may have become another file before it was read.
    described = replace(_described(request, read_header(origin.path), sha256), files=files)
    refuse_changed(described)
    if wanted is None:
        return described

    def check_size(file_bytes: int) -> None:
        _refuse_too_large(request, file_bytes, available_bytes)

    made = derived.made(request, origin, source, described, cache, check_size)
    header = read_header(made.path)
    check_size(header.file_bytes)
    file = _described(request, header, made.sha256)
    file = replace(file, no_quality=origin.no_quality, files=(state(made.path, made.sha256),))
    return derived.described(file, wanted, source, header)


def foresee(request: ModelRequest, cache: Cache, folder: Path) -> Foreseen:
    """Tells what `prepare` would give, and what it would cost, without making it.

    Args:
        request: What would be asked for.
        cache: Where it may be already.
        folder: Where files with headers alone may be written, which take no room.

    Raises:
        UsageError: There is no such reference model, or the source is quantized already.
        ModelMissing: There is no such file, or its source tells nothing before it is fetched.
        ModelInvalid: It is not a whole GGUF file that llama.cpp can read.
        ChecksumMismatch: It is not the file that was named.
        EngineError: The quantizer is missing or failed.
    """
    stated = _stated_checksum(request)
    kind = source_of(request)
    if not hasattr(kind, "foresee"):
        raise ModelMissing(
            f"what {request.name} will need is not known before it is fetched",
            f"a run fetches it: it comes from the source {request.source}",
        )
    origin = cast(Origin, kind.foresee(request, cache, folder))
    if ir_folder.is_ir_folder(origin.path):
        model = replace(ir_folder.outline(_named(request), origin.path), path="")
        return Foreseen(None, model, origin.path, download_bytes=0, disk_bytes=0)
    source = read_header(origin.path)
    request = _named(request, source.card, source.quantization)
    wanted = derived.wanted(request, source, origin)
    if wanted is None:
        return _foreseen(request, source, origin)
    sha256 = _vouched_checksum(source, origin, stated)
    header, made_bytes = derived.foreseen(request, origin, source, sha256, cache, folder)
    foreseen = _foreseen(request, header, origin, made_bytes)
    return replace(foreseen, model=derived.described(foreseen.model, wanted, source, header))


def source_of(request: ModelRequest) -> ModuleType:
    """The module of the source that a request names, imported when it is first asked for."""
    return importlib.import_module(_MODULES[request.source])


def _foreseen(
    request: ModelRequest, header: Header, origin: Origin, made_bytes: int = 0
) -> Foreseen:
    model = replace(_described(request, header, sha256=""), path="", no_quality=origin.no_quality)
    disk_bytes = origin.kept_bytes + made_bytes
    return Foreseen(header, model, origin.path, origin.download_bytes, disk_bytes)


def _folder(
    request: ModelRequest, path: Path, stated: str | None, available_bytes: int
) -> ModelFile:
    described = ir_folder.describe(request, path)
    _refuse_too_large(request, described.file_bytes, available_bytes)
    _refuse_other_content(path, described.sha256, stated)
    return described


def _stated_checksum(request: ModelRequest) -> str | None:
    if request.sha256 is None:
        return None
    stated = request.sha256.lower()
    if not _SHA256.fullmatch(stated):
        raise UsageError(
            f"the checksum {request.sha256!r} of {request.name} is no SHA-256",
            "give its 64 hexadecimal digits, as `sha256sum` prints them",
        )
    return stated


def _refuse_too_large(request: ModelRequest, file_bytes: int, available_bytes: int) -> None:
    reason = why_too_large(file_bytes, available_bytes)
    if reason:
        kind = f" as {request.quantization}" if request.quantization else ""
        raise ModelTooLarge(
            f"{request.name}{kind} ({request.location}) {reason}",
            "choose fewer bits per weight or a smaller model, or close other programs",
        )


def _checksum(
    source: Header, origin: Origin, stated: str | None
) -> tuple[str, tuple[FileState, ...]]:
    """The checksum of a source, which must be each that is expected, and what it was taken of."""
    if origin.fill and origin.sha256:
        return origin.sha256, ()
    files = read_through(source.parts)
    found = joint_sha256([file.sha256 for file in files])
    for expected in (stated, origin.sha256):
        _refuse_other_content(source.path, found, expected)
    return found, files


def _refuse_other_content(path: Path, found: str, expected: str | None) -> None:
    if expected not in {None, found}:
        raise ChecksumMismatch(
            f"{path} is not the file that was named: its SHA-256 is {found}, and it should be "
            f"{expected}",
            "get the file again, or correct the checksum if another file is meant",
        )


def _vouched_checksum(source: Header, origin: Origin, stated: str | None) -> str:
    """The checksum of a source that is only foreseen: as its origin has it, where that knows."""
    if origin.sha256 is None:
        return _checksum(source, origin, stated)[0]
    _refuse_other_content(source.path, origin.sha256, stated)
    return origin.sha256


def _named(request: ModelRequest, card: Card = _UNTOLD, quantization: str = "") -> ModelRequest:
    """The request with the name of the model: the experiment's, or what its file calls it."""
    if request.is_named:
        return request
    path = request.location.partition("@")[0] if request.source is Source.HUB else request.location
    stem = "" if request.source is Source.PACKAGE else split.stem(PurePath(path))
    name = name_of_file(card.title, stem, quantization) or request.name
    return replace(request, name=name, is_named=True)


def _described(request: ModelRequest, header: Header, sha256: str) -> ModelFile:
    return ModelFile(
        name=request.name,
        quantization=header.quantization,
        sha256=sha256,
        path=str(header.path),
        file_bytes=header.file_bytes,
        weight_bytes=header.weight_bytes,
        n_weights=header.n_weights,
        architecture=header.architecture,
        context_tokens=header.context_tokens,
        tensor_types=header.tensor_types,
        anatomy=anatomy(header.tensors, header.hyperparameters),
        source=request.source,
        mix=header.mix,
        card=header.card,
        remarks=remarks.of_file(header),
    )
