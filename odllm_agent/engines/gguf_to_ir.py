"""A GGUF file in OpenVINO's own form: made once on this device, kept beside other cached models.

openvino-genai's reader makes it, in a process of its own, because a hostile file may kill it.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from odllm_agent import child
from odllm_agent.contract import ModelFile
from odllm_agent.errors import ChecksumMismatch, EngineError, OdllmError
from odllm_agent.ir import MODEL, WEIGHTS
from odllm_agent.place import cache_root, disk_full, write_error
from odllm_agent.readable import why_unsupported

_CHECKSUMS = "checksums.json"
_WORK = child.Work(
    program="converter",
    library="openvino-genai",
    if_killed="close other programs, or take a smaller model",
    if_refused="get the file again, or run it on llama_cpp",
    if_failed='pip install "odllm[openvino]"',
)


def converted(model: ModelFile, version: str) -> Path:
    """The folder of a GGUF file's converted form: the one that is there and whole, or a new one.

    Several processes may ask for it at once; one of them makes it.

    Args:
        model: The file; its checksum names the folder.
        version: The version of the reader, which names it too.

    Raises:
        EngineError: The reader knows its architecture or a type of its tensors not, or takes too
            long, or was killed.
        ModelInvalid: The reader refuses the file, or dies of it.
        ChecksumMismatch: The file is no longer the one that was described.
        DiskFull: There is no room for the converted form.
    """
    reason = why_unsupported("openvino", model)
    if reason:
        raise EngineError(reason, "run this file on llama_cpp, or make another type of the model")
    root = cache_root() / "openvino"
    folder = root / hashlib.sha256(f"{model.sha256} {version}".encode()).hexdigest()[:32]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not _is_whole(folder):
                _make(model, folder)
    except OSError as error:
        raise write_error(root, error, model.weight_bytes) from error
    return folder


def _make(model: ModelFile, folder: Path) -> None:
    partial = folder.with_suffix(".part")
    for left in (folder, partial):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    try:
        if shutil.disk_usage(partial).free < model.weight_bytes:
            raise disk_full(folder.parent, model.weight_bytes)
        _convert(model, partial)
        _flush(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _convert(model: ModelFile, target: Path) -> None:
    # The reader reads on behind the end of a file that was cut off.
    found = _sha256(Path(model.path))
    if found != model.sha256:
        raise ChecksumMismatch(
            f"{model.path} has changed since it was described: its SHA-256 is {found}, and it was "
            f"{model.sha256}",
            "run the experiment again; a model of several files cannot be converted",
        )
    command = [sys.executable, "-m", "odllm_agent.engines.convert", model.path, str(target)]
    status, log = child.run(command, child.deadline_s(model.file_bytes))
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


def _is_whole(folder: Path) -> bool:
    """Whether every file is there with the content that it was made with."""
    try:
        stated: dict[str, str] = json.loads((folder / _CHECKSUMS).read_bytes())
        return all(_sha256(folder / name) == sha256 for name, sha256 in stated.items())
    except (OSError, ValueError, AttributeError):
        return False


def _flush(folder: Path) -> None:
    """Writes down what every file holds, and makes all of it last before it gets its name."""
    files = sorted(folder.iterdir())
    content = json.dumps({file.name: _sha256(file) for file in files}, indent=1)
    (folder / _CHECKSUMS).write_text(content + "\n")
    for file in folder.iterdir():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
