"""Types of tensors that GGUF files have and that llama.cpp does not, or not any more."""

from collections.abc import Mapping

_REPACKED = (
    "get the model as {0}, or quantize it anew to {0}: llama.cpp lays {0} out for the processor by "
    "itself as it loads"
)
_OR_BITNET = "; bitnet.cpp has a type of its own under this number, and runs it itself"
_GONE = "get the model as another type, or quantize it anew from its F16 file"
# By their numbers in ggml.h of the versions that had them.
_REMOVED: Mapping[int, tuple[str, str]] = {
    4: ("Q4_2", _GONE),
    5: ("Q4_3", _GONE),
    31: ("Q4_0_4_4", _REPACKED.format("Q4_0")),
    32: ("Q4_0_4_8", _REPACKED.format("Q4_0")),
    33: ("Q4_0_8_8", _REPACKED.format("Q4_0")),
    36: ("IQ4_NL_4_4", _REPACKED.format("IQ4_NL") + _OR_BITNET),
    37: ("IQ4_NL_4_8", _REPACKED.format("IQ4_NL") + _OR_BITNET),
    38: ("IQ4_NL_8_8", _REPACKED.format("IQ4_NL") + _OR_BITNET),
}
# ggml counts its types up by one; numbers of forks lie far above, so that the two never meet.
_FIRST_OF_FORKS = 96


def told(number: int) -> tuple[str, str]:
    """What a type is that is not known, and what to do about it.

    Args:
        number: Its number in the file.

    Returns:
        Words that follow `is of`, and the remedy.
    """
    if number in _REMOVED:
        name, remedy = _REMOVED[number]
        return f"the type {name} ({number}), which llama.cpp has removed", remedy
    if number >= _FIRST_OF_FORKS:
        return f"the unknown type {number}, as a fork of llama.cpp has them", (
            "measure it with the fork that made it (`odllm import` takes what its llama-bench "
            "writes), or get the model as a type of llama.cpp's own"
        )
    return f"the unknown type {number}", (
        "it may be newer than what is installed: update the Python packages gguf and "
        "llama-cpp-python, or use a model of a known type"
    )
