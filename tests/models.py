"""Small model files for the tests: real GGUF files that llama.cpp loads, with random weights."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType, TokenType
from numpy.typing import NDArray

from odllm_agent.contract import Quantization
from odllm_agent.formats.header import read_header
from odllm_agent.models.quantizing.quantizer import Recipe, quantize

_HEAD_WIDTH = 64
_FILE_TYPES = {
    "F32": (LlamaFileType.ALL_F32, GGMLQuantizationType.F32),
    "F16": (LlamaFileType.MOSTLY_F16, GGMLQuantizationType.F16),
    "BF16": (LlamaFileType.MOSTLY_BF16, GGMLQuantizationType.BF16),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a model; every row is a multiple of 256, so that each K-quant is a real one.

    Attributes:
        width: The width of the residual stream.
        layers: The number of blocks.
        ffn: The width of the feed-forward part.
        vocabulary: The number of tokens, from 257 to 900.
        context_tokens: The longest context that the header states.
        architecture: `qwen2`, `qwen3` or `llama`.
        rope_factors: Whether rotary frequencies are stretched, as those of Llama 3 are.
    """

    width: int = 256
    layers: int = 1
    ffn: int = 256
    vocabulary: int = 512
    context_tokens: int = 1024
    architecture: str = "qwen2"
    rope_factors: bool = False


TINY = Shape()

LADDER = tuple(
    map(Quantization, ("F16", "Q8_0", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"))
)
"""What the experiments make of a model unless told otherwise."""


def recipe(quantization: str, **changes: Any) -> Recipe:
    """How a quantization is made that wants nothing more than its name."""
    return Recipe(Quantization(quantization), **changes)


def write_gguf(
    path: Path, shape: Shape = TINY, *, kind: str = "F16", seed: int = 0, starts: bool = False
) -> Path:
    """Writes a model with random weights; 1.1 MB as F16 in `TINY`.

    Args:
        path: The file to write.
        shape: The model's shape.
        kind: The type of its matrices: `F32`, `F16` or `BF16`.
        seed: What the weights are drawn from; the same seed gives the same bytes.
        starts: Whether its tokenizer wants a start token.

    Returns:
        The path.
    """
    writer = gguf.GGUFWriter(path, shape.architecture)
    writer.add_add_bos_token(starts)
    _write(writer, shape, kind, seed)
    return path


def write_quantized(source: Path, target: Path, kind: str) -> Path:
    """Lets llama.cpp quantize a model.

    Args:
        source: A model that is not quantized.
        target: The file to write.
        kind: The quantization, such as `Q4_1+pure`.

    Returns:
        The target.
    """
    quantize(read_header(source), target, recipe(kind))
    return target


def write_split_gguf(
    folder: Path, *, tensors: int = 5, seed: int = 0, first_empty: bool = False
) -> tuple[Path, ...]:
    """Writes the model of `write_gguf` in parts, as llama.cpp's own tools split it.

    Args:
        folder: Where the parts go.
        tensors: The most tensors of a part; the model has 14.
        seed: As of `write_gguf`.
        first_empty: Whether the first part holds metadata only.

    Returns:
        The paths of the parts.
    """
    writer = gguf.GGUFWriter(
        folder / "tiny.gguf", "qwen2", split_max_tensors=tensors, small_first_shard=first_empty
    )
    writer.add_add_bos_token(False)
    _write(writer, TINY, "F16", seed)
    return tuple(sorted(folder.glob("tiny-*-of-*.gguf")))


def write_ir_folder(folder: Path) -> Path:
    """Writes a model of 32 weights in OpenVINO's form, as its tools export one.

    Args:
        folder: Where its files go.

    Returns:
        The folder.
    """
    import openvino  # noqa: PLC0415 - few tests need it

    values = openvino.opset13.parameter([1, 8], np.float32)
    matrix = openvino.opset13.constant(np.arange(32.0).reshape(8, 4), openvino.Type.f32)
    graph = openvino.Model([openvino.opset13.matmul(values, matrix, False, False)], [values])
    openvino.save_model(graph, folder / "openvino_model.xml")
    config = {"model_type": "phi3", "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _write(writer: gguf.GGUFWriter, shape: Shape, kind: str, seed: int) -> None:
    file_type, tensor_type = _FILE_TYPES[kind]
    writer.add_file_type(file_type)
    _add_shape(writer, shape)
    _add_tokenizer(writer, shape.vocabulary)
    rng = np.random.default_rng(seed)
    for name, size in tensor_shapes(shape):
        values = _weights(rng, name, size)
        wanted = tensor_type if len(size) == 2 else GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quantize(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensor_shapes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor's name and shape, rows first, in the order of the file."""
    width, kv = shape.width, shape.width // 2
    yield "token_embd.weight", (shape.vocabulary, width)
    for block in range(shape.layers):
        yield f"blk.{block}.attn_norm.weight", (width,)
        for part, rows in (("q", width), ("k", kv), ("v", kv)):
            yield f"blk.{block}.attn_{part}.weight", (rows, width)
            if shape.architecture == "qwen2":
                yield f"blk.{block}.attn_{part}.bias", (rows,)
            if shape.architecture == "qwen3" and part != "v":
                yield f"blk.{block}.attn_{part}_norm.weight", (_HEAD_WIDTH,)
        yield f"blk.{block}.attn_output.weight", (width, width)
        yield f"blk.{block}.ffn_norm.weight", (width,)
        yield f"blk.{block}.ffn_gate.weight", (shape.ffn, width)
        yield f"blk.{block}.ffn_up.weight", (shape.ffn, width)
        yield f"blk.{block}.ffn_down.weight", (width, shape.ffn)
    yield "output_norm.weight", (width,)
    if shape.rope_factors:
        yield "rope_freqs.weight", (_HEAD_WIDTH // 2,)


def _weights(rng: np.random.Generator, name: str, size: tuple[int, ...]) -> NDArray[np.float32]:
    if name == "rope_freqs.weight":
        return np.linspace(1, 8, size[0], dtype=np.float32)
    values = rng.standard_normal(size, dtype=np.float32) * np.float32(0.05)
    return values + 1 if name.endswith("norm.weight") else values


def _add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    heads = shape.width // _HEAD_WIDTH
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads // 2)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_rope_dimension_count(_HEAD_WIDTH)
    writer.add_key_length(_HEAD_WIDTH)
    writer.add_value_length(_HEAD_WIDTH)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)


def _add_tokenizer(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    n_merges = vocabulary - 257
    merges = list(product(letters, letters))[:n_merges]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*_bytes_as_text(), *("".join(pair) for pair in merges), "<|end|>"])
    writer.add_token_types([TokenType.NORMAL] * (vocabulary - 1) + [TokenType.CONTROL])
    # llama.cpp loads no byte-level tokenizer without merges.
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(vocabulary - 1)
    writer.add_bos_token_id(vocabulary - 1)


def _bytes_as_text() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in printable)
    moved = {byte: 256 + place for place, byte in enumerate(others)}
    return [chr(moved.get(byte, byte)) for byte in range(256)]
