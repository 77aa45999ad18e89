"""The names of types: of whole files by llama.cpp's, of single tensors by ggml's."""

from collections.abc import Mapping

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

# Of llama.cpp's ggml.h and llama.h; the package gguf does not have them yet.
_NEWER_FILES = {"Q2_0": 41}
_NEWER_TENSORS = {"Q2_0": 42}
_NEWER_SIZES = {"Q2_0": (64, 18)}


def type_name(constant: str) -> str:
    """The name of a file's type as people know it, such as `Q4_K_M` of `MOSTLY_Q4_K_M`.

    Args:
        constant: What it is called in code.
    """
    return constant.removeprefix("MOSTLY_").removeprefix("ALL_")


FILE_TYPES: Mapping[str, int] = {
    type_name(kind.name): kind.value for kind in LlamaFileType if kind is not LlamaFileType.GUESSED
} | _NEWER_FILES
"""The number of each type of a file in `general.file_type`, by its name."""

TENSOR_TYPES: Mapping[str, int] = {
    kind.name: kind.value for kind in GGMLQuantizationType
} | _NEWER_TENSORS
"""The number of each type of a tensor, by ggml's name."""

BLOCKS: Mapping[str, tuple[int, int]] = {
    kind.name: (int(weights), int(n_bytes)) for kind, (weights, n_bytes) in GGML_QUANT_SIZES.items()
} | _NEWER_SIZES
"""The weights in a block of each type of a tensor and the bytes of the block, by ggml's name."""

UNQUANTIZED = frozenset({"F32", "F16", "BF16"})
"""The types that keep every weight by itself: those that models are published in."""

NO_FILE_TYPE = int(LlamaFileType.GUESSED)
"""What stands in the place of a type's number where none is stated."""
