"""From what an experiment asks for to a checked model file on this device."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from odllm_agent.contract import ModelFile, ModelRequest, Quantization, Source
from odllm_agent.errors import ChecksumMismatch, ModelInvalid, ModelTooLarge, UsageError
from odllm_agent.models import quantizer
from odllm_agent.models.cache import Cache, CachedFile, Derivation
from odllm_agent.models.checksum import joint_sha256, sha256_of
from odllm_agent.models.header import Header, read_header
from odllm_agent.models.origin import Origin

# Each module has `locate(request, cache) -> Origin` and is imported only when it is asked for.
_MODULES: Mapping[Source, str] = {
    Source.REFERENCE: "odllm_agent.models.ladder",
    Source.FILE: "odllm_agent.models.local_file",
    Source.HUB: "odllm_agent.models.hub",
}
_SHA256 = re.compile("[0-9a-f]{64}")
# Room for the KV cache, the compute buffers and the process itself: a floor below which no model
# runs, not a prediction.
_MARGIN_BYTES = 64 * 10**6
_MARGIN_SHARE = 0.05


def prepare(request: ModelRequest, cache: Cache, available_bytes: int) -> ModelFile:
    """Gets a model file onto this device, quantized as asked, and checks it.

    A file that is ready, or was made before, is only checked.

    Args:
        request: What to get.
        cache: Where files that are made here are kept.
        available_bytes: The memory that the device has free for the model.

    Raises:
        UsageError: There is no such reference model, the source is quantized already, or a file
            of a hub is not pinned.
        ModelMissing: There is no such file, or a part of it is missing.
        ModelInvalid: It is not a whole GGUF file that llama.cpp can read.
        ChecksumMismatch: It is not the file that was named.
        AccessDenied: A hub does not give the file to whoever asks.
        DownloadFailed: A hub did not give all of it.
        ModelTooLarge: The file asked for does not fit in `available_bytes`.
        DiskFull: There is no room for a fetched or quantized file.
        EngineError: The quantizer is missing or failed.
    """
    stated = _stated_checksum(request)
    origin = _locate(request, cache)
    source = read_header(origin.path)
    wanted = _to_make(request, source)
    # Before the file is read through: the checksum of what can't run anyway could take minutes.
    least_bytes = quantizer.least_bytes(source, wanted) if wanted else source.file_bytes
    _refuse_too_large(request, least_bytes, available_bytes)
    sha256 = _checksum(source, stated, origin.sha256)
    if wanted is None:
        return _described(request, source, sha256)
    made = _quantized(source, sha256, wanted, cache)
    header = read_header(made.path)
    _refuse_too_large(request, header.file_bytes, available_bytes)
    return _described(request, header, made.sha256)


def memory_bytes(file_bytes: int) -> int:
    """The memory without which no model file of that size is tried."""
    return file_bytes + int(file_bytes * _MARGIN_SHARE) + _MARGIN_BYTES


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


def _locate(request: ModelRequest, cache: Cache) -> Origin:
    module = importlib.import_module(_MODULES[request.source])
    return cast(Origin, module.locate(request, cache))


def _to_make(request: ModelRequest, source: Header) -> Quantization | None:
    """The type that has to be made of the source, or `None` if the file is to be taken as it is."""
    if request.quantization in {None, source.quantization}:
        return None
    if source.quantized:
        raise UsageError(
            f"{source.path} is {source.quantization} and cannot be made {request.quantization}: "
            "what a quantized file has lost would be counted against the new type",
            "name the model's F16, BF16 or F32 file, or leave the quantization out",
        )
    return request.quantization


def _refuse_too_large(request: ModelRequest, file_bytes: int, available_bytes: int) -> None:
    needed_bytes = memory_bytes(file_bytes)
    if needed_bytes > available_bytes:
        kind = f" as {request.quantization}" if request.quantization else ""
        raise ModelTooLarge(
            f"{request.name}{kind} ({request.location}) needs at least {_gb(needed_bytes)} of "
            f"memory, and {_gb(available_bytes)} are free on this device",
            "choose fewer bits per weight or a smaller model, or close other programs",
        )


def _checksum(source: Header, *expected: str | None) -> str:
    """The checksum of a source, which must be each that is expected."""
    try:
        found = joint_sha256([sha256_of(part) for part in source.parts])
    except OSError as error:
        raise ModelInvalid(
            f"the model file {error.filename or source.path} cannot be read through: "
            f"{error.strerror}",
            "check that it is still there and that its disk is sound",
        ) from error
    for wanted in expected:
        if wanted not in {None, found}:
            raise ChecksumMismatch(
                f"{source.path} is not the file that was named: its SHA-256 is {found}, and it "
                f"should be {wanted}",
                "get the file again, or correct the checksum if another file is meant",
            )
    return found


def _quantized(source: Header, sha256: str, quantization: Quantization, cache: Cache) -> CachedFile:
    def make(target: Path) -> None:
        quantizer.quantize(source, target, quantization)

    derivation = Derivation(sha256, quantization, quantizer.version())
    return cache.derived(derivation, make, quantizer.least_bytes(source, quantization))


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
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.2f} GB"
