"""llama.cpp's own quantizer, run in a process of its own."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gguf import LlamaFileType

from odllm_agent import engines
from odllm_agent.contract import Quantization
from odllm_agent.errors import EngineError, ModelInvalid, ModelMissing, OdllmError
from odllm_agent.files.folders import disk_full
from odllm_agent.formats.header import Header, block_size, read_header
from odllm_agent.processes import child

# One tensor of a dry run; its new type is named only if it is another one.
_TENSOR = re.compile(
    r"\[ *\d+/ *\d+\] (?P<name>.+?) +- \[[ \d,]+\], type = +(?P<type>\w+), "
    r"size = [^(]+(\((?P<new_type>\w+)\))?"
)
_WORK = child.ChildWork(
    program="quantizer",
    library="llama.cpp",
    if_killed="close other programs, or quantize the model on a larger machine",
    if_refused="get the source file again, or convert it with a current llama.cpp",
    if_failed="install llama-cpp-python again",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How llama.cpp makes a quantization.

    Attributes:
        file_type: Its number in llama.cpp's interface and in `general.file_type`.
        smallest: ggml's name of the type of the tensors that get the fewest bits in it.
    """

    file_type: LlamaFileType
    smallest: str


RECIPES: Mapping[Quantization, Recipe] = {
    Quantization.F16: Recipe(LlamaFileType.MOSTLY_F16, "F16"),
    Quantization.Q8_0: Recipe(LlamaFileType.MOSTLY_Q8_0, "Q8_0"),
    Quantization.Q5_K_M: Recipe(LlamaFileType.MOSTLY_Q5_K_M, "Q5_K"),
    Quantization.Q5_0: Recipe(LlamaFileType.MOSTLY_Q5_0, "Q5_0"),
    Quantization.Q4_K_M: Recipe(LlamaFileType.MOSTLY_Q4_K_M, "Q4_K"),
    Quantization.Q4_0: Recipe(LlamaFileType.MOSTLY_Q4_0, "Q4_0"),
    Quantization.Q3_K_M: Recipe(LlamaFileType.MOSTLY_Q3_K_M, "Q3_K"),
    Quantization.Q2_K: Recipe(LlamaFileType.MOSTLY_Q2_K, "Q2_K"),
}


def version() -> str:
    """The version of the quantizer that is installed here.

    Raises:
        EngineError: There is none.
    """
    found = engines.versions().get("llama_cpp")
    if found is None:
        raise EngineError(
            "there is no quantizer here: llama.cpp is not installed", "pip install llama-cpp-python"
        )
    return found


def least_bytes(source: Header, quantization: Quantization) -> int:
    """What a quantized file surely needs, before it is made.

    llama.cpp gives no tensor fewer bits than the type that names the recipe, and some get more.
    """
    block, block_bytes = block_size(RECIPES[quantization].smallest)
    return source.n_weights * block_bytes // block


def quantize(source: Header, target: Path, quantization: Quantization) -> None:
    """Makes a quantized file with llama.cpp's defaults, on all processors that may be used.

    It runs in a process of its own, because llama.cpp may abort on a hostile file.

    Args:
        source: The header of a file that is not quantized.
        target: The file to write; what is left of it after an error is the caller's to remove.
        quantization: The type to make.

    Raises:
        ModelInvalid: llama.cpp refuses the source, or dies of it.
        DiskFull: There is no room for the target.
        EngineError: The quantizer is missing, was killed, takes too long or fails otherwise.
    """
    log = _quantize(source, target, quantization, f"--threads={_processors()}")
    if not _is_whole(target):
        raise _error(source, target, quantization, 0, log)


def tensor_types(source: Header, quantization: Quantization) -> dict[str, str]:
    """The type that llama.cpp would give to every tensor of a quantized file, by tensor.

    Nothing is made, and no weight is read: they may be a hole in the file.

    Args:
        source: The header of a file that is not quantized.
        quantization: The type that would be made.

    Raises:
        ModelInvalid: llama.cpp refuses the source, or dies of it.
        EngineError: The quantizer is missing, was killed, takes too long or fails otherwise.
    """
    nowhere = source.path.with_suffix(".never-written")
    log = _quantize(source, nowhere, quantization, "--dry-run")
    types = parse_types(log)
    if types.keys() != {tensor.name for tensor in source.tensors}:
        raise EngineError(
            f"the dry run of the quantizer on {source.path} cannot be understood",
            "install the version of llama-cpp-python that ODLLM's constraints name",
        )
    return types


def parse_types(log: Iterable[str]) -> dict[str, str]:
    """The types in the log of a dry run by ggml's names, by tensor."""
    found = filter(None, map(_TENSOR.fullmatch, log))
    return {match["name"]: (match["new_type"] or match["type"]).upper() for match in found}


def _quantize(source: Header, target: Path, quantization: Quantization, *options: str) -> list[str]:
    """Runs llama.cpp's quantizer in a process of its own; the lines of its log."""
    command = [sys.executable, "-m", "odllm_agent.models.quantize"]
    command += [str(source.path), str(target), quantization, *options]
    status, log = child.run(command, child.deadline_s(source.file_bytes))
    if status == 0:
        return log
    raise _error(source, target, quantization, status, log)


def _error(
    source: Header, target: Path, quantization: Quantization, status: int | None, log: list[str]
) -> OdllmError:
    return child.note(_explained(source, target, quantization, status, log), log)


def _explained(
    source: Header, target: Path, quantization: Quantization, status: int | None, log: list[str]
) -> OdllmError:
    what = f"{source.path} could not be quantized to {quantization}"
    # libstdc++ says no more than "iostream error" of a write that failed.
    told = any("iostream error" in line for line in log)
    if told or shutil.disk_usage(target.parent).free < child.NEARLY_FULL_BYTES:
        return disk_full(target.parent, least_bytes(source, quantization))
    if status is None:
        limit_s = child.deadline_s(source.file_bytes)
        return EngineError(f"{what} within {limit_s:.0f} s", "look whether the disk answers")
    return _WORK.error(what, status, log)


def _is_whole(target: Path) -> bool:
    """llama.cpp can miss that its last write failed."""
    try:
        read_header(target)
    except (ModelInvalid, ModelMissing):
        return False
    return True


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
