"""A GGUF file in OpenVINO's own form: made once on this device, kept in its cache like any model.

openvino-genai's reader makes it, in a process of its own, because a hostile file may kill it.
"""

import functools
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from odllm_agent.cache import Cache
from odllm_agent.cache.cache import Conversion
from odllm_agent.cache.change import refuse_changed
from odllm_agent.contract import ModelFile
from odllm_agent.errors import ChecksumMismatch, EngineError, OdllmError
from odllm_agent.files.checksum import joint_sha256, read_through
from odllm_agent.files.folders import cache_root, disk_full
from odllm_agent.formats.ir import MODEL, WEIGHTS
from odllm_agent.formats.readable import why_unsupported
from odllm_agent.formats.split import parts_of
from odllm_agent.processes import child

FORM = 2
"""Counts what is put right in what the reader writes: another number is another form of a file."""

_WORK = child.ChildWork(
    program="converter",
    library="openvino-genai",
    if_killed="close other programs, or take a smaller model",
    if_refused="get the file again, or try it on llama_cpp",
    if_failed='pip install "odllm[openvino]"',
)


def converted(model: ModelFile, version: str) -> Path:
    """The folder of a GGUF file's converted form: the one that is there and whole, or a new one.

    Several processes may ask for it at once; one of them makes it.

    Args:
        model: The file.
        version: The version of what converts it; another one's form is another.

    Raises:
        EngineError: The reader knows its architecture or a type of its tensors not, or takes too
            long, or was killed.
        ModelInvalid: The reader refuses the file, or dies of it.
        ChecksumMismatch: The file is no longer the one that was described.
        ModelChanged: It became another one meanwhile.
        DiskFull: There is no room for the converted form, on the disk or within the cache's limit.
        UsageError: The cache cannot be written to.
    """
    reason = why_unsupported("openvino", model)
    if reason:
        raise EngineError(reason, "run this file on llama_cpp, or make another type of the model")
    cache = _own_cache(cache_root())
    cache.hold(model.sha256)
    made = cache.derived(
        Conversion(model.sha256, version),
        lambda target: _convert(model, target),
        at_least_bytes=model.weight_bytes * (2 if is_copied(Path(model.path)) else 1),
    )
    return made.path


def is_copied(source: Path) -> bool:
    """Whether a model is copied for the reader, which takes one file only, to be written to.

    It opens the file for reading and writing and writes nothing (openvino.genai, gguflib.c,
    gguf_open). A model that is installed for everybody, or lies on a disk that is mounted for
    reading, is therefore out of its reach.
    """
    return len(parts_of(source)) > 1 or not os.access(source, os.W_OK)


@functools.cache
def _own_cache(_root: Path) -> Cache:
    """This device's cache, kept because what it gives out stays only as long as it lives."""
    return Cache.of_this_device()


def _convert(model: ModelFile, target: Path) -> None:
    # The reader reads on behind the end of a file that was cut off.
    files = read_through(parts_of(Path(model.path)))
    found = joint_sha256([file.sha256 for file in files])
    if found != model.sha256:
        raise ChecksumMismatch(
            f"{model.path} has changed since it was described: its SHA-256 is {found}, and it was "
            f"{model.sha256}",
            "run the experiment again",
        )
    target.mkdir()
    command = [
        sys.executable,
        "-m",
        "odllm_agent.engines.openvino.convert",
        model.path,
        str(target),
    ]
    status, log = child.run(command, child.deadline_s(model.file_bytes))
    # What is kept as a form of this checksum must be one.
    refuse_changed(replace(model, files=files))
    if status == 0 and all((target / name).exists() for name in (MODEL, WEIGHTS)):
        return
    raise child.note(_error(model, target, status, log), log)


def _error(model: ModelFile, target: Path, status: int | None, log: list[str]) -> OdllmError:
    what = f"{model.path} could not be converted for OpenVINO"
    if shutil.disk_usage(target).free < child.NEARLY_FULL_BYTES:
        return disk_full(target.parent, model.weight_bytes)
    if status is None:
        return EngineError(f"{what}: it took too long", "look whether the disk answers")
    return _WORK.error(what, status, log)
