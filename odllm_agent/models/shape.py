"""The source `shape`: a published architecture, filled with random weights on the device itself.

Speed, memory and power depend on the shapes and types of weights, not on what they know. So a
device can be measured at 14 billion weights without fetching a byte.
"""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from odllm_agent.cache.cache import Cache
from odllm_agent.contract import ModelRequest
from odllm_agent.errors import UsageError
from odllm_agent.formats.architectures import (
    ARCHITECTURES,
    DECAYS,
    ROPE_FACTORS,
    Architecture,
    rope_factors,
)
from odllm_agent.formats.header import Header, read_header
from odllm_agent.models import random_weights
from odllm_agent.models.origin import Origin
from odllm_agent.models.skeleton import write_skeleton

_written: dict[tuple[Path, str], Path] = {}

_DECAY_SPEEDS = 16

NO_QUALITY = "its weights are random: a shape is for speed, memory and power"
"""Why there is no quality of a shape."""


def locate(request: ModelRequest, cache: Cache) -> Origin:
    """The architecture of that name, as a file whose weights are a hole.

    Raises:
        UsageError: There is no such architecture, no type was asked for, or a checksum stated.
        DiskFull: There is no room for the file's header.
    """
    _refuse_what_files_have(request)
    name = request.location
    if name not in ARCHITECTURES:
        raise UsageError(
            f"there is no architecture named {name!r}", f"known: {', '.join(ARCHITECTURES)}"
        )
    architecture = ARCHITECTURES[name]
    path = _skeleton(name, architecture, cache)
    return Origin(
        path=path,
        sha256=_identity(path, request.seed),
        fill=partial(fill, architecture=architecture, seed=request.seed),
        no_quality=NO_QUALITY,
    )


def foresee(request: ModelRequest, _cache: Cache, folder: Path) -> Origin:
    """The same file, written into a folder instead of the device's cache; see `locate`."""
    return locate(request, Cache(folder))


def fill(header: Header, architecture: Architecture, seed: int) -> None:
    """Writes the weights of an architecture into a file that has a hole in their place.

    Args:
        header: The file's header; its tensors may be of any types.
        architecture: The architecture.
        seed: What the weights are drawn from.

    Raises:
        EngineError: A tensor is of a type that cannot be made.
        OSError: The file cannot be written.
    """
    random_weights.fill(header, seed, _given(header, architecture))


def _given(header: Header, architecture: Architecture) -> dict[str, bytes]:
    """The tensors whose values decide on more than what the model says, by name.

    States fade as those of an untrained model do, a few heads per speed; otherwise they would grow
    without end.
    """
    given = {ROPE_FACTORS: np.array(rope_factors(architecture), "<f4").tobytes()}
    for tensor in header.tensors:
        if tensor.name.endswith(DECAYS):
            fading = 1 + np.arange(tensor.n_weights) % _DECAY_SPEEDS
            given[tensor.name] = (-fading).astype("<f4").tobytes()
    return given


def _refuse_what_files_have(request: ModelRequest) -> None:
    if request.quantization is None:
        raise UsageError(
            f"{request.name} cannot be taken as it is: a shape has no weights before it has a type",
            "name its quantizations, such as [Q4_0]",
        )
    if request.sha256 is not None:
        raise UsageError(
            f"{request.name} states a checksum, and a shape has no file that it could be of",
            "leave it out: the same seed gives the same bytes everywhere",
        )


def _skeleton(name: str, architecture: Architecture, cache: Cache) -> Path:
    """The file without weights, written anew by every process: another ODLLM may have left one."""

    def write(path: Path) -> None:
        write_skeleton(path, name, architecture)

    known = _written.get((cache.root, name))
    if known is None or not known.exists():
        _written[cache.root, name] = cache.skeleton(name, write)
    return _written[cache.root, name]


def _identity(skeleton: Path, seed: int) -> str:
    """A checksum of all that the bytes of a filled file follow from, but for their type."""
    with skeleton.open("rb") as file:
        digest = hashlib.sha256(file.read(read_header(skeleton).layout.data_start_bytes))
    digest.update(f"seed {seed}, version {random_weights.VERSION}".encode())
    return digest.hexdigest()
