"""What can be told of a model before it is fetched: files of its size with only its headers."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from odllm_agent.cache.cache import RemoteFile
from odllm_agent.errors import ModelInvalid
from odllm_agent.files.checksum import joint_sha256
from odllm_agent.formats.header import read_header
from odllm_agent.models.origin import Origin

# Headers with a whole vocabulary take 6 to 20 MB; no reader here takes more than the last.
START_BYTES = (8 * 2**20, 64 * 2**20)

FetchStart = Callable[[RemoteFile, Path, int], None]
"""Fetches the start of a file, of so many bytes, into one of its size."""


def outline(files: Sequence[RemoteFile], folder: Path, fetch_start: FetchStart) -> Origin:
    """A model of the right size with its header, and a hole in the place of its weights.

    Args:
        files: All files of the model, in the order of its parts.
        folder: Where they are written, each model into a folder of its own.
        fetch_start: Fetches their starts.
    """
    sha256 = joint_sha256([file.sha256 for file in files])
    within = folder / sha256
    within.mkdir(parents=True, exist_ok=True)
    paths = [within / PurePosixPath(file.name).name for file in files]
    for start_bytes in START_BYTES:
        for file, path in zip(files, paths, strict=True):
            fetch_start(file, path, start_bytes)
        with contextlib.suppress(ModelInvalid):
            read_header(paths[0])
            break
    all_bytes = sum(file.file_bytes for file in files)
    return Origin(paths[0], sha256, download_bytes=all_bytes, kept_bytes=all_bytes)
