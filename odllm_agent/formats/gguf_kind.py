"""What a GGUF file is that cannot be read or is no language model, and what to do about it."""

from collections.abc import Mapping

from odllm_agent.contract import Scalar

_VERSIONS = (2, 3)
_NO_MODELS: Mapping[str, tuple[str, str]] = {
    "mmproj": (
        "it is the part of a model that takes images or sound (mmproj), and needs its language "
        "model",
        "name the file of the language model: that is what is measured",
    ),
    "adapter": (
        "it is an adapter (LoRA), which changes a model and is none",
        "merge it into the model that it was trained on (`llama-export-lora`) and measure what "
        "comes of it, or name that model's own file",
    ),
    "imatrix": (
        "it is an importance matrix, which helps to quantize a model and is none",
        "name the model's file",
    ),
    "controlvector": (
        "it is a control vector, which steers a model and is none",
        "name the model's file",
    ),
}
# Of files that do not state their type, what stands in them alone.
_BY_ARCHITECTURE = {"clip": "mmproj", "controlvector": "controlvector", "mmproj": "mmproj"}
_BY_KEY = {"adapter.": "adapter", "imatrix.": "imatrix", "clip.": "mmproj"}


def why_unread(version: int) -> tuple[str, str] | None:
    """Why a version of the format cannot be read, and what to do about it.

    Args:
        version: As a little-endian number.

    Returns:
        `None` if it can be read.
    """
    if version in _VERSIONS:
        return None
    if version == 1:
        return "its format version is 1, older than versions 2 and 3, which can be read", (
            "get a newer file of the model, or convert it again with a current llama.cpp"
        )
    if version & 0xFFFF == 0:
        return "its numbers are big-endian, as for IBM Z, and only little-endian ones are read", (
            "turn them with `gguf-convert-endian FILE little` of the Python package gguf, or get "
            "the little-endian file"
        )
    return f"its format version is {version:,}, and versions 2 and 3 can be read", (
        "if it is newer, update the Python packages gguf and llama-cpp-python; otherwise the file "
        "is damaged: get it again"
    )


def why_no_model(values: Mapping[str, Scalar], n_tensors: int) -> tuple[str, str] | None:
    """Why a GGUF file is no language model with weights, and what to do about it.

    Args:
        values: Its metadata without arrays.
        n_tensors: How many tensors it holds.

    Returns:
        `None` if nothing of it says so.
    """
    if found := _NO_MODELS.get(_kind(values)):
        return found
    if not n_tensors:
        held = "a vocabulary and no weights" if _has("tokenizer.", values) else "no tensors"
        return f"it holds {held}", "name a file with weights, not only a vocabulary"
    architecture = str(values.get("general.architecture", ""))
    if not architecture:
        return "it does not state its architecture (general.architecture)", (
            "convert the model again with the converter of a current llama.cpp"
        )
    if f"{architecture}.context_length" not in values:
        return f"it states no single {architecture[:80]}.context_length", (
            "name the GGUF file of a language model; if it is one, convert it again with the "
            "converter of a current llama.cpp"
        )
    return None


def _kind(values: Mapping[str, Scalar]) -> str:
    stated = str(values.get("general.type", ""))
    if stated in _NO_MODELS:
        return stated
    architecture = str(values.get("general.architecture", ""))
    if architecture in _BY_ARCHITECTURE:
        return _BY_ARCHITECTURE[architecture]
    if f"{architecture}.context_length" in values:
        return ""
    return next((kind for start, kind in _BY_KEY.items() if _has(start, values)), "")


def _has(start: str, values: Mapping[str, Scalar]) -> bool:
    return any(key.startswith(start) for key in values)
