"""llama.cpp's own quantizer, run in a process of its own."""

import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from odllm_agent import engines
from odllm_agent.contract import Quantization
from odllm_agent.errors import EngineError, ModelInvalid, ModelMissing, OdllmError, UsageError
from odllm_agent.files.folders import disk_full
from odllm_agent.formats.file_types import TENSOR_TYPES, UNQUANTIZED
from odllm_agent.formats.header import Header, block_size, read_header
from odllm_agent.host import cores
from odllm_agent.models import ladder
from odllm_agent.processes import child
from odllm_agent.terminal.arguments import nearest

MAKES = "makes: "
"""Before the name of a type in what the quantizing process tells of all types."""

# One tensor of a dry run; its new type is named only if it is another one.
_TENSOR = re.compile(
    r"\[ *\d+/ *\d+\] (?P<name>.+?) +- \[[ \d,]+\], type = +(?P<type>\w+), "
    r"size = [^(]+(\((?P<new_type>\w+)\))?"
)
_NEEDS_IMATRIX = "will require an imatrix"
_PROBE_DEADLINE_S = 120.0
_WORK = child.ChildWork(
    program="quantizer",
    library="llama.cpp",
    if_killed="close other programs, or quantize the model on a larger machine",
    if_refused="get the source file again, or convert it with a current llama.cpp",
    if_failed="install llama-cpp-python again",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a file is made of another one.

    Attributes:
        quantization: What it is made to be.
        imatrix: The file of the importance matrix, where the quantization wants one.
        requantize: Whether tensors may be made of what is quantized already.
    """

    quantization: Quantization
    imatrix: Path | None = None
    requantize: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """What the quantizing process is told of it."""
        matrix = (f"--imatrix={self.imatrix}",) if self.imatrix else ()
        return (
            f"--make={self.quantization}",
            *matrix,
            *(("--requantize",) if self.requantize else ()),
        )


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

    llama.cpp's mixes give some tensors a type of one bit less than the mix is named by, and none
    of two.
    """
    named_bits = int(re.sub(r"\D*(\d+).*", r"\1", quantization.type))
    exact = quantization.type in UNQUANTIZED
    bits = min(named_bits if exact else max(1, named_bits - 1), *map(_bits, quantization.types), 32)
    return int(source.n_weights * bits) // 8


def quantize(source: Header, target: Path, recipe: Recipe) -> None:
    """Makes a quantized file, on all processors that may be used.

    It runs in a process of its own, because llama.cpp may abort on a hostile file.

    Args:
        source: The header of the file that it is made of.
        target: The file to write; what is left of it after an error is the caller's to remove.
        recipe: How it is made.

    Raises:
        UsageError: llama.cpp's quantizer makes no such file, or not without an importance matrix.
        ModelInvalid: llama.cpp refuses the source, or dies of it.
        DiskFull: There is no room for the target.
        EngineError: The quantizer is missing, was killed, takes too long or fails otherwise.
    """
    log = _quantize(source, target, recipe, f"--threads={cores.usable()}")
    if not _is_whole(target):
        raise _error(source, target, recipe.quantization, 0, log)


@dataclass(frozen=True, slots=True)
class Types:
    """The types that the quantizer would give to the tensors of a file.

    Attributes:
        of_tensors: By ggml's names, by tensor.
        needs_imatrix: Whether it cannot be made without an importance matrix.
    """

    of_tensors: Mapping[str, str]
    needs_imatrix: bool = False


def foreseen_types(source: Header, recipe: Recipe) -> Types:
    """The type that llama.cpp would give to every tensor of a quantized file.

    Nothing is made, and no weight is read: they may be a hole in the file.

    Args:
        source: The header of the file that it would be made of.
        recipe: How it would be made.

    Raises:
        UsageError: llama.cpp's quantizer makes no such file.
        ModelInvalid: llama.cpp refuses the source, or dies of it.
        EngineError: The quantizer is missing, was killed, takes too long or fails otherwise.
    """
    nowhere = source.path.with_suffix(".never-written")
    types = parse_types(_quantize(source, nowhere, recipe, "--dry-run"))
    if types.of_tensors.keys() != {tensor.name for tensor in source.tensors}:
        raise EngineError(
            f"the dry run of the quantizer on {source.path} cannot be understood",
            "install the version of llama-cpp-python that ODLLM's constraints name",
        )
    return types


def refuse_without_effect(source: Header, quantization: Quantization) -> None:
    """Makes sure that the quantizer would heed all of what it is told.

    Args:
        source: The header of the file that it would be made of.
        quantization: What it would be made to be.

    Raises:
        UsageError: It would leave out a part of it.
    """
    unknown = [name for name in quantization.types if name not in TENSOR_TYPES]
    if unknown:
        raise UsageError(
            f"{quantization}: there is no type of tensors {unknown[0]!r}",
            nearest(unknown[0], TENSOR_TYPES),
        )
    if quantization.type in UNQUANTIZED and quantization != quantization.type:
        raise UsageError(
            f"{quantization}: {quantization.type} is not quantized, so nothing departs from it",
            f"ask for {quantization.type} alone",
        )
    names = [tensor.name for tensor in source.tensors]
    for pattern, _ in quantization.tensors:
        if not any(re.search(pattern, name) for name in names):
            raise UsageError(
                f"{quantization}: no tensor of {source.path} has {pattern!r} in its name",
                "name a part of a tensor's name, such as ffn_down or blk.0.attn",
            )


def needs_imatrix(source: Header, quantization: Quantization) -> UsageError:
    """That a file cannot be made without an importance matrix."""
    return UsageError(
        f"{source.path} is not made {quantization} without an importance matrix: so few bits are "
        "of use only where it is known which weights matter",
        f"ask for {quantization}+imatrix, and name the matrix, or the text to make it from: "
        "imatrix=...",
    )


def parse_types(log: Iterable[str]) -> Types:
    """What the log of a dry run says of the types."""
    lines = list(log)
    found = [match for line in lines if (match := _TENSOR.search(line))]
    return Types(
        {match["name"]: (match["new_type"] or match["type"]).upper() for match in found},
        any(_NEEDS_IMATRIX in line for line in lines),
    )


@cache
def makes() -> Mapping[str, bool]:
    """Every type that the quantizer which is installed here makes, by whether it needs a matrix.

    It is asked for each type that it or we have a name for, on the smallest reference model.

    Raises:
        EngineError: The quantizer is missing or fails.
    """
    smallest = read_header(next(iter(ladder.origins().values())).path)
    status, log = child.run(_command(smallest.path, "", "--every-type"), _PROBE_DEADLINE_S)
    if status:
        raise _WORK.error("the quantizer's types could not be told", status, log)
    told = dict(line.removeprefix(MAKES).split() for line in log if line.startswith(MAKES))
    return {name: needs == "imatrix" for name, needs in told.items()}


def _quantize(source: Header, target: Path, recipe: Recipe, *options: str) -> list[str]:
    """Runs llama.cpp's quantizer in a process of its own; the lines of its log."""
    command = _command(source.path, target, *recipe.options, *options)
    status, log = child.run(command, child.deadline_s(source.file_bytes))
    if status == 0:
        return log
    raise _error(source, target, recipe.quantization, status, log)


def _command(*words: object) -> list[str]:
    return [sys.executable, "-m", "odllm_agent.models.quantizing.process", *map(str, words)]


def _error(
    source: Header, target: Path, quantization: Quantization, status: int | None, log: list[str]
) -> OdllmError:
    return child.note(_explained(source, target, quantization, status, log), log)


def _explained(
    source: Header, target: Path, quantization: Quantization, status: int | None, log: list[str]
) -> OdllmError:
    what = f"{source.path} could not be quantized to {quantization}"
    if any("requires an importance matrix" in line for line in log):
        return needs_imatrix(source, quantization)
    if any("invalid output file type" in line for line in log):
        return UsageError(
            f"{what}: this llama.cpp makes no {quantization.type}",
            nearest(quantization.type, makes()),
        )
    # libstdc++ says no more than "iostream error" of a write that failed.
    told = any("iostream error" in line for line in log)
    if told or shutil.disk_usage(target.parent).free < child.NEARLY_FULL_BYTES:
        return disk_full(target.parent, least_bytes(source, quantization))
    if status is None:
        limit_s = child.deadline_s(source.file_bytes)
        return EngineError(f"{what} within {limit_s:.0f} s", "look whether the disk answers")
    return _WORK.error(what, status, log)


def _bits(type_name: str) -> float:
    """The bits that a weight of a type of tensors takes, its share of the scales included."""
    block, block_bytes = block_size(type_name)
    return 8 * block_bytes / block


def _is_whole(target: Path) -> bool:
    """llama.cpp can miss that its last write failed."""
    try:
        read_header(target)
    except (ModelInvalid, ModelMissing):
        return False
    return True
