"""Which models a device has, what they are called, and which of them an experiment needs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

from odllm_agent.cache.cache import Cache
from odllm_agent.cache.layout import CacheEntry, Note
from odllm_agent.contract import Holding, ModelRequest, Source
from odllm_agent.errors import ModelError, ModelMissing
from odllm_agent.files.checksum import joint_sha256, read_through
from odllm_agent.formats.header import read_header
from odllm_agent.formats.ir import read_graph
from odllm_agent.formats.split import parts_of
from odllm_agent.models import ladder
from odllm_agent.models.download.hub_file import HubFile
from odllm_agent.models.imatrix.reading import is_matrix
from odllm_agent.models.quantizing import quantizer
from odllm_agent.models.sources import source_of

_SHA256 = re.compile("[0-9a-f]{64}")
_SHOWN_DIGITS = 12
# What only the notes of a model's form for OpenVINO, and of its importance matrix, have.
_FORMS = {"reader", "collector"}

Notes = Mapping[str, Sequence[Note]]
"""What the notes of a cache say of each model, by its checksum."""


def holdings(cache: Cache) -> tuple[Holding, ...]:
    """Everything in a cache that takes room, the most recently used first.

    Raises:
        UsageError: The cache's folder cannot be read.
    """
    entries, notes = cache.entries(), cache.made_from()
    names = known_names(notes)
    return tuple(
        Holding(
            sha256=entry.key,
            origin=told(notes.get(entry.key, ()), names),
            quantization=type_of(entry),
            file_bytes=entry.file_bytes,
            used_at=entry.used_at,
        )
        for entry in reversed(entries)
    )


def unneeded(requests: Sequence[ModelRequest], cache: Cache) -> tuple[Holding, ...]:
    """What is in a cache and not needed for what is asked for.

    Needed is every source, each type of it that is asked for, as the installed quantizer makes it,
    their forms for OpenVINO, and their importance matrices.

    Args:
        requests: All that may stay.
        cache: The cache; nothing is fetched into it.

    Raises:
        UsageError: A request names nothing that there is, or the cache cannot be read.
        ModelError: A file that is asked for cannot be read.
    """
    notes = cache.made_from()
    needed: set[str] = set()
    for request in requests:
        sources = _sources(request, cache, notes)
        needed |= sources | _noted(
            notes, sources, quantization=request.quantization, quantizer=quantizer.version()
        )
    needed |= {
        sha256
        for sha256, each in notes.items()
        if any(_FORMS & note.keys() and note["source_sha256"] in needed for note in each)
    }
    return tuple(each for each in holdings(cache) if each.sha256 not in needed)


def removed(sha256s: Sequence[str], cache: Cache) -> tuple[str, ...]:
    """Takes models out of a cache, but for those that another process was given.

    Args:
        sha256s: Their checksums; what is not there is left out.
        cache: The cache; what it has given out itself is no longer kept.

    Returns:
        The checksums of those that are gone.

    Raises:
        UsageError: The cache's folder cannot be read.
    """
    chosen = [entry for entry in cache.entries() if entry.key in sha256s]
    for entry in chosen:
        cache.let_go(entry.key)
    return tuple(entry.key for entry in chosen if cache.remove(entry))


def known_names(notes: Notes) -> dict[str, str]:
    """What people call the models that others were made of, by checksum."""
    names: dict[str, str] = {}
    with suppress(ModelMissing):
        names = {str(origin.sha256): name for name, origin in ladder.origins().items()}
    told = [(sha256, note) for sha256, each in notes.items() for note in each]
    names |= {sha256: str(note["location"]) for sha256, note in told if "location" in note}
    return names | {
        sha256: f"{_named(note['source_sha256'], names)} {note['quantization']}"
        for sha256, note in told
        if "quantization" in note
    }


def told(notes: Iterable[Note], names: Mapping[str, str]) -> str:
    """What people are told of where a model comes from."""
    return "; ".join(_note_text(note, names) for note in notes)


def type_of(entry: CacheEntry) -> str:
    """The type of a model of the cache, or why there is none."""
    if not entry.finished:
        return "unfinished"
    path = entry.paths[0]
    try:
        return read_graph(path).precision if path.is_dir() else read_header(path).quantization
    except ModelError:
        return "imatrix" if is_matrix(path) else "damaged"


def said(entry: CacheEntry) -> dict[str, object]:
    """What the header of a model of the cache says of it, or nothing where it has none."""
    try:
        header = read_header(entry.paths[0])
    except ModelError:
        return {}
    return {
        **asdict(header.card),
        "architecture": header.architecture,
        "context_tokens": header.context_tokens,
    }


def short(text: str) -> str:
    """A text; of a checksum, its start."""
    return text[:_SHOWN_DIGITS] if _SHA256.fullmatch(text) else text


def _noted(notes: Notes, sources: set[str], **as_told: object) -> set[str]:
    """The models that were made of any of these sources as told."""
    return {
        sha256
        for sha256, each in notes.items()
        for note in each
        if note.get("source_sha256") in sources and as_told.items() <= note.items()
    }


def _sources(request: ModelRequest, cache: Cache, notes: Notes) -> set[str]:
    """The checksums that what a request asks for may have or be made of, without any network."""
    if request.sha256:
        return {request.sha256.lower()}
    if request.source is Source.HUB:
        return _of_hub(HubFile.of(request.location), notes)
    if request.source is Source.FILE:
        path = source_of(request).locate(request, cache).path
        states = read_through(parts_of(path))
        return {joint_sha256([each.sha256 for each in states])}
    return {str(source_of(request).locate(request, cache).sha256)}


def _of_hub(file: HubFile, notes: Notes) -> set[str]:
    """What came under a name of a hub: at its commit, or at any if it is not at one."""
    name = f"hub:{file}" if file.pinned else f"hub:{file.repository}/{file.file}@"
    return {
        sha256
        for sha256, each in notes.items()
        if any(str(note.get("location", "")).startswith(name) for note in each)
    }


def _note_text(note: Note, names: Mapping[str, str]) -> str:
    if "location" in note:
        by = f", by {note['by']}" if "by" in note else ""
        return f"{note['location']}{by}"
    if "collector" in note:
        return f"importance matrix of {_named(note['source_sha256'], names)}"
    text = ", ".join(_named(value, names) for value in note.values() if value)
    return f"{text}, in OpenVINO's form" if "reader" in note else text


def _named(value: object, names: Mapping[str, str]) -> str:
    """A model by what people call it, or by the start of its checksum; other values as they are."""
    text = str(value)
    return names.get(text, short(text))
