"""Files of other types, made on this device of what a model's source gives."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from odllm_agent.cache.cache import Cache, CachedFile, Derivation, refuse_full_disk
from odllm_agent.cache.change import refuse_changed
from odllm_agent.contract import ModelFile, ModelRequest, Quantization
from odllm_agent.errors import UsageError
from odllm_agent.formats.header import Header, read_header
from odllm_agent.models.imatrix import finding
from odllm_agent.models.origin import Origin
from odllm_agent.models.quantizing import dry_run, quantizer, remarks
from odllm_agent.models.quantizing.quantizer import Recipe


def wanted(request: ModelRequest, source: Header, origin: Origin) -> Quantization | None:
    """What has to be made of a source, or `None` if it is to be taken as it is.

    Raises:
        UsageError: The source is quantized, and nobody asked to make other types of it; or the
            quantizer would leave out a part of what is asked.
    """
    if request.quantization in {None, source.quantization} and origin.fill is None:
        return None
    if source.quantized and not request.requantize:
        raise UsageError(
            f"{source.path} is {source.quantization} and cannot be made {request.quantization} "
            "unless that is asked for: what it has lost already is counted against the new type",
            "name the model's F16, BF16 or F32 file, leave the quantization out, or set requantize",
        )
    if request.quantization:
        quantizer.refuse_without_effect(source, request.quantization)
    return request.quantization


def made(
    request: ModelRequest,
    origin: Origin,
    source: Header,
    described: ModelFile,
    cache: Cache,
    check_size: Callable[[int], None],
) -> CachedFile:
    """The file that a request wants made of its source, or made so before.

    Args:
        request: What to get; it has a quantization.
        origin: Where the source comes from.
        source: The source's header.
        described: The source, described with its checksum.
        cache: Where the file is kept.
        check_size: Raises an error if a file of so many bytes is too large.

    Raises:
        UsageError: llama.cpp's quantizer makes no such file, or it wants an importance matrix.
        ModelInvalid: llama.cpp refuses the source, or the importance matrix is none.
        ModelChanged: The source was changed meanwhile.
        DiskFull: There is no room for it.
        EngineError: The quantizer is missing or failed.
    """
    quantization = _asked(request)
    # What is filled with random weights has none that matter more than others.
    matrix = None
    if quantization.imatrix and origin.fill is None:
        matrix = finding.found(request.imatrix, quantization, source, described.sha256, cache)

    def make(target: Path) -> None:
        recipe = Recipe(quantization, matrix.path if matrix else None, request.requantize)
        if origin.fill is None:
            try:
                quantizer.quantize(source, target, recipe)
            finally:
                # What is kept as made of this checksum must have been.
                refuse_changed(described)
            return
        header = dry_run.foresee(source, recipe, target, fillable=True)
        check_size(header.file_bytes)
        refuse_full_disk(target.parent, header.file_bytes)
        origin.fill(header)

    sha256 = matrix.sha256 if matrix else ""
    derivation = Derivation(described.sha256, quantization, quantizer.version(), sha256)
    return cache.derived(derivation, make, quantizer.least_bytes(source, quantization))


def foreseen(
    request: ModelRequest, origin: Origin, source: Header, sha256: str, cache: Cache, folder: Path
) -> tuple[Header, int]:
    """The header of what `made` would give, and what it would newly write into the cache.

    Args:
        request: What would be asked for; it has a quantization.
        origin: Where the source comes from.
        source: The source's header.
        sha256: The source's checksum.
        cache: Where it may be already.
        folder: Where a file with a header alone may be written.

    Raises:
        UsageError: llama.cpp's quantizer makes no such file, or it wants an importance matrix.
        ModelInvalid: llama.cpp refuses the source.
        EngineError: The quantizer is missing or failed.
    """
    quantization = _asked(request)
    # Which matrix it would be made by is known only once that is made.
    known = not quantization.imatrix
    there = known and cache.noted(Derivation(sha256, quantization, quantizer.version()))
    if there:
        return read_header(there.path), 0
    recipe = Recipe(quantization, requantize=request.requantize)
    target = folder / f"{sha256}-{hashlib.sha256(quantization.encode()).hexdigest()}.gguf"
    fillable = origin.fill is not None
    header = dry_run.foresee(source, recipe, target, fillable=fillable)
    return header, header.file_bytes


def described(
    file: ModelFile, quantization: Quantization, source: Header, header: Header
) -> ModelFile:
    """A file that was made, with what it was made to be and what must be known of that.

    Args:
        file: What its own header says of it.
        quantization: What it was made to be.
        source: The header of what it was made of.
        header: Its own.
    """
    told = remarks.of_making(quantization, source, header)
    return replace(file, quantization=str(quantization), remarks=told)


def _asked(request: ModelRequest) -> Quantization:
    assert request.quantization is not None  # noqa: S101 - for the type checker
    return request.quantization
