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

from odllm_agent.engines.llama_cpp import variants

_CPU = "ggml-cpu"


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

LIBRARIES = Path(llama.__file__).parent / "lib"
"""The folder of the libraries that come with llama-cpp-python."""

VARIANT = variants.chosen(LIBRARIES)
"""The CPU backend that computes, where there are several to choose from."""


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
    if name == _CPU and VARIANT:
        return ctypes.CDLL(str(VARIANT))
    # A wheel holds copies where a system has links, and only the first is the one that llama.cpp
    # itself has loaded.
    names = (f"lib{name}.so.0", f"lib{name}.so", f"lib{name}.dylib", f"{name}.dll")
    found = next(path for path in (LIBRARIES / file for file in names) if path.exists())
    return ctypes.CDLL(str(found))


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _say_nothing(_level: int, _text: bytes, _data: object) -> None:
    """Takes what llama.cpp says and does nothing with it."""


def _load_backend(variant: Path) -> None:
    """Lets llama.cpp compute with one of the CPU backends that it was built with.

    Raises:
        OSError: It cannot be loaded.
    """
    load = bound("ggml", "ggml_backend_load", ctypes.c_void_p, ctypes.c_char_p)
    # It tells everybody which one it takes, and would do so among what a user is told.
    llama.llama_log_set(_say_nothing, None)
    loaded = load(str(variant).encode())
    llama.llama_log_set(llama.llama_log_callback(), None)
    if not loaded:
        named = f", which {variants.VARIABLE} names" if variants.is_told() else ""
        raise OSError(f"llama.cpp cannot load its CPU backend {variant}{named}")


if VARIANT:
    _load_backend(VARIANT)
