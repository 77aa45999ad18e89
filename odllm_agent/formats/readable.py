"""Which model files each engine can read, told from a file's description alone.

It stands apart from the engines, so that a controller can leave out what cannot run without
having any engine installed.
"""

from collections.abc import Callable, Mapping

from odllm_agent.contract import Format, ModelFile

# What the reader in openvino-genai 2026.4 knows. Of F32 it reads vectors; BF16 and Q2_K it reads
# only in an embedding, which no recipe makes so.
_OPENVINO_ARCHITECTURES = frozenset({"llama", "qwen2", "qwen3"})
_OPENVINO_TYPES = frozenset({"F32", "F16", "Q4_0", "Q4_1", "Q4_K", "Q6_K", "Q8_0"})


def why_unsupported(engine: str, model: ModelFile) -> str | None:
    """Why an engine cannot run a model file, or `None` if nothing speaks against it.

    Args:
        engine: The engine's name.
        model: The file; its architecture and tensor types decide.
    """
    check = _CHECKS.get(engine)
    return check(model) if check else None


def _llama_cpp(model: ModelFile) -> str | None:
    if model.format is Format.GGUF:
        return None
    return f"llama.cpp reads GGUF files, and {model.name} is a folder of OpenVINO's format"


def _openvino(model: ModelFile) -> str | None:
    if model.format is Format.OPENVINO_IR:
        return None
    if model.architecture not in _OPENVINO_ARCHITECTURES:
        return (
            f"OpenVINO's GGUF reader knows no architecture {model.architecture}, only "
            f"{', '.join(sorted(_OPENVINO_ARCHITECTURES))}"
        )
    unread = sorted(set(model.tensor_types) - _OPENVINO_TYPES)
    if model.tensor_types == ("F32",):
        unread = ["F32 for matrices"]
    if unread:
        return f"OpenVINO's GGUF reader knows no tensor type {' or '.join(unread)}"
    return None


_CHECKS: Mapping[str, Callable[[ModelFile], str | None]] = {
    "llama_cpp": _llama_cpp,
    "openvino": _openvino,
}
