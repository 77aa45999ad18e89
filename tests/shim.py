"""A library in front of llama.cpp's own that lets products of one type crash or come out wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

from odllm_agent.engines.llama_cpp import native
from odllm_agent.engines.llama_cpp.ggml import type_number

_SOURCE = Path(__file__).parent / "odllm_agent" / "builds" / "shim.c"


def struck(folder: Path, type_name: str, path: str, how: str) -> dict[str, str]:
    """The environment of a process in which products of a type are struck.

    Args:
        folder: Where the library is compiled to.
        type_name: ggml's name of the type of the weights.
        path: `plain`, or `layout` for whatever layout of their own weights are brought into.
        how: `crash` or `wrong`.
    """
    library = folder / "shim.so"
    if not library.exists():
        _compile(library)
    return {
        "LD_PRELOAD": str(library),
        "STRIKE_TYPE": str(type_number(type_name)),
        "STRIKE_PATH": path,
        "STRIKE_HOW": how,
    }


def _compile(library: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    headers = native.LIBRARIES.parent.parent / "include"
    if compiler is None or not (headers / "ggml.h").exists():
        pytest.skip("there is no C compiler here, or llama-cpp-python came without its headers")
    command = [compiler, "-shared", "-fPIC", "-O1", f"-I{headers}", str(_SOURCE), "-o", library]
    subprocess.run([*map(str, command), "-ldl"], check=True, capture_output=True)
