"""llama.cpp's C functions, bound without the rest of llama-cpp-python."""

import ctypes
import importlib.util
import subprocess
import sys

import pytest

from odllm_agent.engines.llama_cpp import native


def test_the_bindings_are_those_that_llama_cpp_python_has_itself() -> None:
    code = "import llama_cpp, odllm_agent.engines.llama_cpp.native as native;"
    code += "print(native.llama is llama_cpp.llama_cpp)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_without_llama_cpp_python_the_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "llama_cpp")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="llama-cpp-python"):
        native.bindings()


def test_a_function_that_is_shipped_but_not_bound_can_be_called() -> None:
    n_names = native.bound("ggml-base", "ggml_blck_size", ctypes.c_int64, ctypes.c_int)
    assert n_names(native.llama.GGML_TYPE_Q4_K) == 256
