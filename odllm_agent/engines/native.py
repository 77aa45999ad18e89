"""The C functions of llama.cpp that llama-cpp-python ships, bound by it or here.

Only its low-level bindings are loaded. Its package imports the high-level class too, with Jinja,
a disk cache and NumPy: the half of what a worker takes to start, and memory that would be counted
to the model that it measures.
"""

import ctypes
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast


def bindings() -> ModuleType:
    """The module `llama_cpp.llama_cpp`, whose package is entered without running it.

    Raises:
        ModuleNotFoundError: llama-cpp-python is not installed.
    """
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None:
            raise ModuleNotFoundError("llama-cpp-python is not installed", name="llama_cpp")
        sys.modules["llama_cpp"] = importlib.util.module_from_spec(spec)
    return importlib.import_module("llama_cpp.llama_cpp")


llama: Any = bindings()


def bound(library: str, name: str, returns: object, *takes: object) -> Callable[..., Any]:
    """A function that llama-cpp-python ships but does not bind.

    Args:
        library: The shared library's name, such as `ggml-cpu`.
        name: The function's name.
        returns: Its result's ctypes type, or `None`.
        takes: Its arguments' ctypes types.
    """
    function = getattr(_library(library), name)
    function.restype = returns
    function.argtypes = takes
    return cast(Callable[..., Any], function)


@cache
def _library(name: str) -> ctypes.CDLL:
    folder = Path(llama.__file__).parent / "lib"
    names = (f"lib{name}.so", f"lib{name}.dylib", f"{name}.dll")
    found = next(path for path in (folder / file for file in names) if path.exists())
    return ctypes.CDLL(str(found))
