"""Importance matrices made on this device: of a text that the model reads once."""

import hashlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from odllm_agent.cache.cache import Cache, CachedFile, Importance
from odllm_agent.errors import EngineError, UsageError
from odllm_agent.formats.header import Header
from odllm_agent.host import cores
from odllm_agent.models.quantizing import quantizer
from odllm_agent.processes import child

TOO_SHORT = "too short: "
"""Before what the collecting process says of a text that has too few tokens."""

# The slowest laptops multiply 50,000 tokens with some 10^9 weights per second.
_DEADLINE_PER_BYTE_S = 1e-4
_WORK = child.ChildWork(
    program="collector of the importance matrix",
    library="llama.cpp",
    if_killed="close other programs, or name a matrix that was made on a larger machine",
    if_refused="get the model's file again",
    if_failed="install llama-cpp-python again",
)


def made(model: Header, sha256: str, text: str, first_token: int, cache: Cache) -> CachedFile:
    """The importance matrix of a model, made with a text, or made so before.

    Args:
        model: The model's header.
        sha256: The checksum of its file.
        text: What it reads.
        first_token: The first token of the text that it reads.
        cache: Where the matrix is kept.

    Raises:
        UsageError: The text is too short.
        ModelInvalid: llama.cpp refuses the model.
        DiskFull: There is no room for it.
        EngineError: llama.cpp is missing, or fails.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    importance = Importance(sha256, digest, first_token, quantizer.version())

    def make(target: Path) -> None:
        with TemporaryDirectory() as folder:
            written = Path(folder) / "text"
            written.write_text(text, encoding="utf-8", newline="")
            _collect(model, written, first_token, target)

    columns_bytes = 4 * sum(tensor.shape[0] for tensor in model.tensors)
    return cache.derived(importance, make, columns_bytes)


def _collect(model: Header, text: Path, first_token: int, target: Path) -> None:
    command = [sys.executable, "-m", "odllm_agent.models.imatrix.collect", str(model.path)]
    command += [str(text), str(target), str(first_token), str(cores.usable())]
    deadline_s = child.deadline_s(model.file_bytes) + _DEADLINE_PER_BYTE_S * model.file_bytes
    status, log = child.run(command, deadline_s)
    what = f"no importance matrix could be made with {model.path}"
    if status is None:
        raise EngineError(
            f"{what} within {deadline_s:,.0f} s",
            "name a matrix that was made on a quicker machine",
        )
    if short := next((line for line in log if line.startswith(TOO_SHORT)), None):
        raise UsageError(
            f"{what}: the text {short.removeprefix(TOO_SHORT)}",
            "name a longer text as its imatrix, or let quality read fewer windows of this one "
            "(quality.max_windows)",
        )
    if status:
        raise child.note(_WORK.error(what, status, log), log)
