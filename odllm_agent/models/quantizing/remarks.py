"""What must be known of a model file to read its figures rightly, in sentences."""

from odllm_agent.contract import Quantization, TypeShare
from odllm_agent.formats.file_types import TENSOR_TYPES, UNQUANTIZED
from odllm_agent.formats.header import Header, block_size

# A name that its own type gives to less than this share of the weights does not tell the file.
_MOST = 0.5
_SHOWN = 4


def of_file(header: Header) -> tuple[str, ...]:
    """What must be known of a file that is measured as it is."""
    told = mixed(header.quantization, header.mix, header.n_weights)
    return (told,) if told else ()


def of_making(quantization: Quantization, source: Header, made: Header) -> tuple[str, ...]:
    """What must be known of a file that was made here.

    Args:
        quantization: What it was made to be.
        source: The header of what it was made of.
        made: Its own header.
    """
    told: list[str] = []
    if source.quantized:
        told.append(
            f"made of a {source.quantization} file, whose losses are in every type made of it: "
            "quality is compared with that file, not with the model as it was trained"
        )
    if fallback := fallen_back(quantization, made):
        told.append(fallback)
    return tuple(told)


def fallen_back(quantization: Quantization, made: Header) -> str:
    """That llama.cpp gave tensors another type because of the length of their rows, or `""`."""
    block = _block(quantization.type)
    matrices = [tensor for tensor in made.tensors if len(tensor.shape) > 1]
    others = [tensor for tensor in matrices if tensor.shape[0] % block]
    if not others:
        return ""
    rows = " and ".join(f"{length:,}" for length in sorted({each.shape[0] for each in others}))
    types = ", ".join(sorted({each.type for each in others if each.type not in UNQUANTIZED}))
    return (
        f"rows of {rows} weights do not divide into blocks of {block}: {len(others)} of "
        f"{len(matrices)} matrices fall back to {types or 'F16'}"
    )


def mixed(quantization: str, mix: tuple[TypeShare, ...], n_weights: int) -> str:
    """Which types a file consists of, where its name does not tell; otherwise `""`."""
    of_name = sum(share.n_weights for share in mix if quantization.startswith(share.type))
    if of_name >= _MOST * n_weights:
        return ""
    return f"its weights are {shares(mix, n_weights)}"


def shares(mix: tuple[TypeShare, ...], n_weights: int) -> str:
    """A mix of types in words, the most first."""
    told = [f"{share.type} {100 * share.n_weights / n_weights:.0f} %" for share in mix[:_SHOWN]]
    return ", ".join([*told, *(["others"] if len(mix) > _SHOWN else [])])


def _block(type_name: str) -> int:
    """The weights of a block of the type of tensors that a type of files is named by."""
    name = type_name
    while name not in TENSOR_TYPES and "_" in name:
        name = name.rpartition("_")[0]
    known = (
        name
        if name in TENSOR_TYPES
        else next(each for each in TENSOR_TYPES if each.startswith(name))
    )
    return block_size(known)[0]
