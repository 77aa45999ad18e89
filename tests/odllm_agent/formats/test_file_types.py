import ctypes
import re

import pytest

from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.formats.file_types import BLOCKS, FILE_TYPES, TENSOR_TYPES, type_name

# A type of activations, which no file has; the package gguf counts 4 bytes too many to its block.
_OF_FILES = sorted(TENSOR_TYPES.keys() - {"Q8_1"})


@pytest.mark.parametrize("name", _OF_FILES)
def test_a_type_of_tensors_is_the_one_of_the_library(name: str) -> None:
    number = TENSOR_TYPES[name]
    named = bound("ggml-base", "ggml_type_name", ctypes.c_char_p, ctypes.c_int)(number)
    weights = bound("ggml-base", "ggml_blck_size", ctypes.c_int64, ctypes.c_int)(number)
    n_bytes = bound("ggml-base", "ggml_type_size", ctypes.c_size_t, ctypes.c_int)(number)
    assert named.decode().upper() == name
    assert (weights, n_bytes) == BLOCKS[name]


def test_the_library_has_no_type_of_tensors_beyond_those() -> None:
    named = bound("ggml-base", "ggml_type_name", ctypes.c_char_p, ctypes.c_int)
    assert max(TENSOR_TYPES.values()) == native.GGML_TYPE_COUNT - 1
    others = set(range(native.GGML_TYPE_COUNT)) - set(TENSOR_TYPES.values())
    # Numbers of types that were removed are left free.
    assert all(re.search(b"removed|deprecated", named(number), re.IGNORECASE) for number in others)


def test_a_type_of_files_is_the_one_of_the_library() -> None:
    start = "LLAMA_FTYPE_"
    theirs = {
        type_name(name.removeprefix(start)): number
        for name, number in vars(native).items()
        if name.startswith(start) and name != f"{start}GUESSED"
    }
    assert theirs == FILE_TYPES
