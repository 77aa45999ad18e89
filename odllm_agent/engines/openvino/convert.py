"""The converting process: `python -m odllm_agent.engines.openvino.convert SOURCE TARGET`."""

import contextlib
import ctypes
import os
import shutil
import sys
from pathlib import Path

import openvino
import openvino_genai

from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.engines.openvino.gguf_to_ir import is_copied
from odllm_agent.engines.openvino.minima import Minima
from odllm_agent.engines.openvino.rope import Rope, put_right, read_rope
from odllm_agent.errors import OdllmError
from odllm_agent.formats.ir import MODEL, WEIGHTS, read_graph
from odllm_agent.formats.split import parts_of
from odllm_agent.processes.child import REFUSED, end_with_parent

# On one core with AMX, OpenVINO 2026.4.1 divides by zero as it compiles a model in F16 (openvino
# #33300: by half of the threads, rounded down). What it writes does not depend on the processor.
_WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}


def main() -> int:
    """Converts one GGUF file into a folder and ends early if standard input closes.

    Returns:
        0, or `REFUSED` if the reader says that it could not.
    """
    source, target = map(Path, sys.argv[1:])
    end_with_parent()
    beside = target / "model.gguf"
    try:
        _bring(source, beside)
        rope = read_rope(beside)
        _write(beside, target)
        _put_right(target, rope, Minima(beside))
    except (RuntimeError, IndexError, ValueError, OdllmError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return REFUSED
    finally:
        beside.unlink(missing_ok=True)
    return 0


def _write(source: Path, target: Path) -> None:
    """Lets the reader write its form of a file that lies in the target's folder.

    It has no call that only converts: it goes on to compile the model, and a tokenizer that it
    makes of the file's, which may fail where the model is sound. Neither is needed here.
    """
    os.environ.update(_WITHOUT_AMX)
    try:
        openvino_genai.LLMPipeline(str(source), "CPU", enable_save_ov_model=True)
    except RuntimeError:
        if not (target / MODEL).exists():
            raise
    read_graph(target)


def _put_right(folder: Path, rope: Rope, minima: Minima) -> None:
    """Corrects what the reader has written where it is not what its file says."""
    core = openvino.Core()
    # A mapped file cannot be replaced on Windows.
    core.set_property({"ENABLE_MMAP": False})
    model = core.read_model(folder / MODEL)
    changed = [put_right(model, rope), minima.put_right(model)]
    if any(changed):
        beside = folder / "right.xml"
        openvino.save_model(model, beside, compress_to_fp16=False)
        beside.with_suffix(".bin").replace(folder / WEIGHTS)
        beside.replace(folder / MODEL)


def _bring(source: Path, beside: Path) -> None:
    """Lets a model lie in the target's folder as one file, because the reader writes beside it."""
    if len(parts_of(source)) > 1:
        _join(source, beside)
        return
    if not is_copied(source):
        with contextlib.suppress(OSError):
            beside.symlink_to(source.absolute())
            return
    shutil.copyfile(source, beside)


def _join(first: Path, whole: Path) -> None:
    """Copies all parts of a split model, which the reader does not know, into one file.

    Raises:
        ValueError: llama.cpp cannot read them.
    """
    native.llama_log_set(native.llama_log_callback(), None)
    params = native.llama_model_quantize_default_params()
    params.only_copy = True
    if native.llama_model_quantize(os.fsencode(first), os.fsencode(whole), ctypes.byref(params)):
        raise ValueError("its parts cannot be joined")


if __name__ == "__main__":
    sys.exit(main())
