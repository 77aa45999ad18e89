"""A model file of a published model's size, filled with random weights.

Speed depends on the shapes and types of the weights, not on what they know.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import LlamaFileType, TokenType
from numpy.typing import NDArray

from benchmarks.folder import cache_folder
from odllm_agent.contract import ModelFile, ModelRequest, Quantization, Source
from odllm_agent.models import Cache, prepare
from odllm_agent.state import available_bytes

# Of no power of two, so that no two rows of a matrix are the same.
_POOL_WEIGHTS = 4_000_037
_BYTES = 256
_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a model with the architecture of Qwen2, input and output embeddings tied.

    Attributes:
        width: The width of the residual stream.
        layers: The number of blocks.
        ffn: The width of the feed-forward part.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        vocabulary: The number of tokens.
    """

    width: int
    layers: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int

    @property
    def kv_width(self) -> int:
        """The width of keys and values."""
        return self.width // self.heads * self.kv_heads


QWEN2_5_0_5B = Shape(width=896, layers=24, ffn=4864, heads=14, kv_heads=2, vocabulary=151_936)


def prepared(name: str, shape: Shape, quantization: Quantization, seed: int = 0) -> ModelFile:
    """A quantized file of that shape on this device, made once.

    Raises:
        DiskFull: There is no room for it.
        EngineError: The quantizer failed.
    """
    kept = cache_folder() / f"{name}-seed{seed}-{quantization}.gguf"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            source = Path(temporary, f"{name}-F16.gguf")
            write(source, shape, seed)
            request = ModelRequest(name, Source.FILE, str(source), quantization)
            made = prepare(request, Cache(Path(temporary, "cache")), available_bytes())
            Path(made.path).replace(kept)
    request = ModelRequest(name, Source.FILE, str(kept))
    return prepare(request, Cache.of_this_device(), available_bytes())


def write(path: Path, shape: Shape, seed: int) -> None:
    """Writes a model as F16; the same seed gives the same bytes.

    Args:
        path: The file to write.
        shape: The model's shape.
        seed: What the weights are drawn from.
    """
    writer = gguf.GGUFWriter(path, "qwen2")
    _add_shape(writer, shape)
    _add_tokenizer(writer, shape.vocabulary)
    tensors = list(tensor_shapes(shape))
    for name, size in tensors:
        kind = _kind(size)
        n_bytes = int(np.prod(size)) * kind().itemsize
        writer.add_tensor_info(name, size, np.dtype(kind), n_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    pool = _pool(seed)
    for place, (name, size) in enumerate(tensors):
        writer.write_tensor_data(_weights(pool, place, name, size))
    writer.close()


def tensor_shapes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor's name and shape, rows first, in the order of the file."""
    width, kv = shape.width, shape.kv_width
    yield "token_embd.weight", (shape.vocabulary, width)
    for block in range(shape.layers):
        yield f"blk.{block}.attn_norm.weight", (width,)
        for part, rows in (("q", width), ("k", kv), ("v", kv)):
            yield f"blk.{block}.attn_{part}.weight", (rows, width)
            yield f"blk.{block}.attn_{part}.bias", (rows,)
        yield f"blk.{block}.attn_output.weight", (width, width)
        yield f"blk.{block}.ffn_norm.weight", (width,)
        yield f"blk.{block}.ffn_gate.weight", (shape.ffn, width)
        yield f"blk.{block}.ffn_up.weight", (shape.ffn, width)
        yield f"blk.{block}.ffn_down.weight", (width, shape.ffn)
    yield "output_norm.weight", (width,)


def _kind(size: tuple[int, ...]) -> type[np.float16] | type[np.float32]:
    return np.float16 if len(size) > 1 else np.float32


def _pool(seed: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal(_POOL_WEIGHTS, dtype=np.float32)
    return drawn * np.float32(_SPREAD)


def _weights(
    pool: NDArray[np.float32], place: int, name: str, size: tuple[int, ...]
) -> NDArray[np.float16] | NDArray[np.float32]:
    """Weights from the pool, from a start of the tensor's own, over and over."""
    values = np.resize(np.roll(pool, place * 65_537).astype(_kind(size)), size)
    return values + np.float32(1) if name.endswith("norm.weight") else values


def _add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_context_length(32_768)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)


def _add_tokenizer(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    # llama.cpp loads no byte-level tokenizer without merges, so there is one.
    known = [*_bytes_as_text(), "ab"]
    rest = [f"<|{place}|>" for place in range(len(known), vocabulary)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(known + rest)
    writer.add_token_types([TokenType.NORMAL] * vocabulary)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(vocabulary - 1)
    writer.add_bos_token_id(vocabulary - 1)
    writer.add_add_bos_token(False)


def _bytes_as_text() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(_BYTES) if byte not in printable)
    moved = {byte: _BYTES + place for place, byte in enumerate(others)}
    return [chr(moved.get(byte, byte)) for byte in range(_BYTES)]
