"""A published model as an F16 file whose weights are a hole.

The tokenizer has as many tokens as the published one, but not its words: text can be tokenized, not
as the real model would.
"""

from contextlib import closing
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType

from odllm_agent.formats.architectures import Architecture, Value
from odllm_agent.formats.header import Header, Tensor, read_header
from odllm_agent.models.quantizing.dry_run import end_in_hole

_BYTES = 256
# Matrices so small, and of so much effect, that the converter leaves them whole.
_EXACT = ("norm.weight", "ffn_gate_inp.weight", "shortconv.conv.weight", "ssm_conv1d.weight")


def write_skeleton(path: Path, name: str, architecture: Architecture) -> Header:
    """Writes everything but the weights.

    Args:
        path: The file to write, of the size that it would have with weights.
        name: What the file says that it is.
        architecture: The model's shape.

    Raises:
        OSError: The file cannot be written.
    """
    with closing(GGUFWriter(path, architecture.family.name)) as writer:
        writer.add_name(name)
        _add_shape(writer, architecture)
        _add_tokenizer(writer, architecture)
        tensors = [_added(writer, *each) for each in architecture.tensor_shapes()]
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    with path.open("ab") as file:
        end_in_hole(file, tensors, writer.data_alignment)
    return read_header(path)


def _added(writer: GGUFWriter, name: str, shape: tuple[int, ...]) -> Tensor:
    """Adds a tensor: matrices are F16 and the rest is F32, as llama.cpp's converter has it."""
    exact = len(shape) < 2 or not name.endswith(".weight") or name.endswith(_EXACT)
    kind, number = ("F32", np.float32) if exact else ("F16", np.float16)
    tensor = Tensor(name, kind, shape[::-1], 0)
    writer.add_tensor_info(name, shape, np.dtype(number), tensor.n_bytes)
    return tensor


def _add_shape(writer: GGUFWriter, architecture: Architecture) -> None:
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    for key, value in architecture.pairs().items():
        _add(writer, f"{architecture.family.name}.{key}", value)


def _add(writer: GGUFWriter, key: str, value: Value) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def _add_tokenizer(writer: GGUFWriter, architecture: Architecture) -> None:
    vocabulary, family = architecture.vocabulary, architecture.family
    # llama.cpp loads no byte-level tokenizer without merges, so there is one.
    known = [*_bytes_as_text(), "ab"]
    rest = [f"<|{place}|>" for place in range(len(known), vocabulary)]
    begin, end = vocabulary - 2, vocabulary - 1
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(family.tokenizer)
    writer.add_token_list(known + rest)
    writer.add_token_types([TokenType.NORMAL] * (vocabulary - 2) + [TokenType.CONTROL] * 2)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(family.begins_texts)


def _bytes_as_text() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(_BYTES) if byte not in printable)
    moved = {byte: _BYTES + place for place, byte in enumerate(others)}
    return [chr(moved.get(byte, byte)) for byte in range(_BYTES)]
