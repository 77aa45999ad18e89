"""Files that people take for a GGUF model, or that are an unusual one, written byte by byte.

The package gguf would write few of them. Every writer takes the path to write; what it writes is a
model of three tensors but for what its name says.
"""

import io
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from gzip import compress
from pathlib import Path
from typing import Any

U16, U32, F32, STRING, ARRAY, U64 = 2, 4, 6, 8, 9, 10
_FORMS = {U16: "H", U32: "I", F32: "f", U64: "Q"}
# Weights and bytes of a block, by the number of the type.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 4: (32, 18), 20: (32, 18), 31: (32, 18), 32: (32, 18),
    33: (32, 18), 34: (256, 54), 36: (32, 18), 37: (32, 18), 38: (32, 18), 39: (32, 17),
    42: (64, 18), 95: (32, 18), 137: (32, 20), 202: (32, 18), 1000: (32, 18),
}  # fmt: skip

Pair = tuple[str | bytes, int, Any]
Tensor = tuple[str, tuple[int, ...], int]

TENSORS: tuple[Tensor, ...] = (
    ("token_embd.weight", (256, 32), 2),
    ("blk.0.attn_q.weight", (256, 256), 2),
    ("output_norm.weight", (256,), 0),
)

UNEVEN: tuple[Tensor, ...] = (*TENSORS[:2], ("output_norm.weight", (250,), 0))
"""The last is of 1,000 bytes, which is no multiple of an alignment."""


def pairs(architecture: str = "llama", **changes: Pair | None) -> list[Pair]:
    """The metadata of a small model; a change of `None` leaves a pair out."""
    found: dict[str, Pair | None] = {
        "architecture": ("general.architecture", STRING, architecture),
        "file_type": ("general.file_type", U32, 2),
        "context_length": (f"{architecture}.context_length", U32, 512),
        "block_count": (f"{architecture}.block_count", U32, 1),
        "embedding_length": (f"{architecture}.embedding_length", U32, 256),
        "head_count": (f"{architecture}.attention.head_count", U32, 4),
        "epsilon": (f"{architecture}.attention.layer_norm_rms_epsilon", F32, 1e-5),
    }
    return [pair for pair in (found | changes).values() if pair]


def _text(value: str | bytes, order: str) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(f"{order}Q", len(raw)) + raw


def _value(kind: int, value: Any, order: str) -> bytes:
    if kind == STRING:
        return _text(value, order)
    if kind == ARRAY:
        inner, values = value
        start = struct.pack(f"{order}IQ", inner, len(values))
        return start + b"".join(_value(inner, each, order) for each in values)
    return struct.pack(order + _FORMS[kind], value)


def _size(shape: tuple[int, ...], kind: int) -> int:
    n_weights = 1
    for length in shape:
        n_weights *= length
    weights, n_bytes = _BLOCKS[kind]
    return n_weights // weights * n_bytes


def gguf(
    metadata: Sequence[Pair],
    tensors: Sequence[Tensor] = TENSORS,
    *,
    version: int = 3,
    order: str = "<",
    alignment: int = 32,
    pads_end: bool = True,
) -> bytes:
    """A GGUF file."""
    counts = "I" if version == 1 else "Q"
    out = b"GGUF" + struct.pack(f"{order}I{counts}{counts}", version, len(tensors), len(metadata))
    for key, kind, value in metadata:
        out += _text(key, order) + struct.pack(f"{order}I", kind) + _value(kind, value, order)
    sizes = [_size(shape, kind) for _, shape, kind in tensors]
    offset = 0
    for (name, shape, kind), size in zip(tensors, sizes, strict=True):
        out += _text(name, order) + struct.pack(f"{order}I{len(shape)}Q", len(shape), *shape)
        out += struct.pack(f"{order}IQ", kind, offset)
        offset += -(-size // alignment) * alignment
    out += bytes(-len(out) % alignment)
    data = b"".join(b"\1" * size + bytes(-size % alignment) for size in sizes)
    return out + (data if pads_end or not sizes else data[: len(data) + -(-sizes[-1] % alignment)])


def split(count: int = 2) -> list[bytes]:
    """A model in parts: all tensors but the last are in the first."""
    told = [
        [("split.no", U16, number), ("split.count", U16, count), ("split.tensors.count", U32, 3)]
        for number in range(2)
    ]
    return [gguf([*pairs(), *told[0]], TENSORS[:2]), gguf(told[1], TENSORS[2:])]


def typed(number: int) -> bytes:
    """A model whose embeddings are of a type."""
    return gguf(pairs(), [("token_embd.weight", (256, 32), number), *TENSORS[1:]])


def zipped(name: str) -> bytes:
    """A zip archive of one small file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, b"\x80\x02}q\x00.")
    return out.getvalue()


def tarred(name: str) -> bytes:
    """A tar archive of one small file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def safetensors(header: bytes = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}') -> bytes:
    """A file of safetensors with one tensor."""
    return struct.pack("<Q", len(header)) + header + bytes(4)


GOOD = gguf(pairs())
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Log in</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1234567\n" % (b"0" * 64)

SOUND: dict[str, bytes] = {
    "plain.gguf": GOOD,
    "UPPER.GGUF": GOOD,
    "noext": GOOD,
    "it's a model.gguf": GOOD,
    "model (1).gguf": GOOD,
    "with spaces ü=1,2.gguf": GOOD,
    "version-2.gguf": gguf(pairs(), version=2),
    "aligned-64.gguf": gguf(pairs(alignment=("general.alignment", U32, 64)), alignment=64),
    "no-pad-end.gguf": gguf(pairs(), UNEVEN, pads_end=False),
    "rows-of-250.gguf": gguf(pairs(), UNEVEN),
    "vast-context.gguf": gguf(
        pairs(rope=("llama.rope.scaling.original_context_length", U64, 2**40))
    ),
    "trailing-junk.gguf": GOOD + b"x" * 100,
    "heads-per-block.gguf": gguf(
        pairs(head_count=("llama.attention.head_count", ARRAY, (U32, [4, 4])))
    ),
    "not-utf8.gguf": gguf(pairs(name=("general.name", STRING, b"caf\xe9"))),
    "mxfp4.gguf": gguf(pairs(), [("token_embd.weight", (256, 32), 39), *TENSORS[1:]]),
    "tq1_0.gguf": typed(34),
    "merged-adapter.gguf": gguf(pairs(note=("adapter.merged_from", STRING, "mine"))),
}
"""Models that are right, by the name of the file."""

# What is told of each, and a word of what to do.
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "html.gguf": (HTML, "HTML page.*Sign in", "download it again"),
    "html-late.gguf": (b"\n\n <!-- x --> <HTML lang=de><body>403", "HTML page", "HF_TOKEN"),
    "lfs.gguf": (POINTER, "git LFS pointer", "git lfs pull"),
    "lfs-old.gguf": (
        b"version https://hawser.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "git LFS pointer",
        "git lfs pull",
    ),
    "annex.gguf": (
        b"/annex/objects/SHA256E-s1--0.gguf\n", "git-annex pointer", "git annex get"
    ),
    "xet.gguf": (b"# xet version 0\nfilesize = 1\nhash = '0'\n", "Xet pointer", "download"),
    "json.gguf": (
        b'{"error":"Invalid username or password."}',
        r"JSON.*Invalid username or password",
        "download it again",
    ),
    "list.gguf": (b'[{"error": 1}]', "JSON", "download it again"),
    "config.gguf": (b'{"model_type": "llama"}', "JSON", "convert_hf_to_gguf"),
    "utf16.gguf": ('{"error": "no"}'.encode("utf-16"), "JSON", "download it again"),
    "xml.gguf": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "XML.*AccessDenied",
        "download it again",
    ),
    "openvino_model.xml": (
        b'<?xml version="1.0"?>\n<net name="Model0" version="11">',
        "graph of a model in OpenVINO's form",
        "name the folder",
    ),
    "text.gguf": (b"Entry not found", r"text \(Entry not found\)", "download it again"),
    "gzip.gguf": (compress(GOOD), "gzip", "gunzip"),
    "zip.gguf": (zipped("model.gguf"), "zip archive", "unzip"),
    "zstd.gguf": (b"\x28\xb5\x2f\xfd" + bytes(99), "zstd", "unzstd"),
    "xz.gguf": (b"\xfd7zXZ\0" + bytes(99), "xz", "unxz"),
    "bzip2.gguf": (b"BZh91AY&SY" + bytes(99), "bzip2", "bunzip2"),
    "7z.gguf": (b"7z\xbc\xaf\x27\x1c" + bytes(99), "7z", "7z x"),
    "tar.gguf": (tarred("model.gguf"), "tar archive", "tar -xf"),
    "model.safetensors": (safetensors(), "safetensors", "convert_hf_to_gguf"),
    "pytorch_model.bin": (zipped("archive/data.pkl"), "PyTorch", "convert_hf_to_gguf"),
    "old.pth": (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle", "convert_hf_to_gguf"
    ),
    "protocol-4.pt": (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0", "pickle", "convert_hf_to_gguf"),
    "model.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:", "ONNX", "GGUF file"),
    "bare.onnx": (b"\x08\x0a:\x9c\x01\x0a", "ONNX", "GGUF file"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5", "convert"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite", "GGUF file"),
    "model.llamafile": (b"MZqFpD='\n" + bytes(99), "program", "llamafile"),
    "program": (b"\x7fELF\x02\x01\x01" + bytes(99), "program", "name a .gguf file"),
    "ggml.bin": (b"lmgg" + bytes(99), "GGML", "convert_llama_ggml_to_gguf"),
    "ggjt.gguf": (b"tjgg\1\0\0\0" + bytes(99), "GGJT", "convert_llama_ggml_to_gguf"),
    "ggla.bin": (b"algg\1\0\0\0" + bytes(99), "LoRA adapter", "merge it"),
    "imatrix.dat": (
        struct.pack("<ii", 1, 18) + b"blk.0.attn_q.weight", "importance matrix", "model's file"
    ),
    "zeros.gguf": (bytes(5000), "nothing but zeros", "let the download go on"),
    "shifted.gguf": (b"HTTP/1.1 200 OK\r\n\r\n" + GOOD, "19 other bytes", r"tail -c \+20"),
    "noise.gguf": (b"\xa7\x13\x99\x01" * 99, "does not start with GGUF", "name a .gguf file"),
    "empty.gguf": (b"", "it is empty", "get the file again"),
    "three-bytes.gguf": (b"GGU", "cut off inside its header", "get the file again"),
    "truncated.gguf": (GOOD[:-900], "cut off after", "get the file again"),
    "model.gguf.part1of2": (
        GOOD[:3000],
        "cut off after 3,000 bytes",
        "`cat model.gguf.part1of2 model.gguf.part2of2 > model.gguf`",
    ),
    "model.gguf.part2of2": (
        b"\xa7\x13\x99\x01" * 99, "does not start with GGUF", "cat model.gguf.part1of2"
    ),
    "my model.gguf-split-a": (GOOD[:3000], "cut off", r"cat 'my model\.gguf-split-'\* >"),
    "model.gguf.001": (GOOD[:3000], "cut off", r"cat model\.gguf\.\* > model\.gguf"),
    "model.gguf.aa": (GOOD[:3000], "cut off", r"cat model\.gguf\.\* > model\.gguf"),
    "model.gguf.crdownload": (GOOD[:3000], "cut off", "let its download go on"),
    "joined.gguf": (b"".join(split()), "joined with `cat`", "llama-gguf-split --merge"),
    "joined-00001-of-00002.gguf": (b"".join(split()), "joined with `cat`", "--merge"),
    "joined-models.gguf": (GOOD + GOOD, "several files were joined", "each other"),
    "part-00002-of-00002.gguf": (split()[1], "part 2 of 2", "name its first part, part-00001-of"),
    "renamed.gguf": (split()[0], "its name does not say so", "give the parts their names again"),
    "mmproj.gguf": (
        gguf(pairs("clip", context_length=None, block_count=None), TENSORS[:1]),
        "mmproj.*needs its language model",
        "file of the language model",
    ),
    "mmproj-typed.gguf": (
        gguf(pairs(kind=("general.type", STRING, "mmproj"))), "mmproj", "language model"
    ),
    "lora.gguf": (
        gguf(
            [
                ("general.architecture", STRING, "llama"),
                ("general.type", STRING, "adapter"),
                ("adapter.type", STRING, "lora"),
                ("adapter.lora.alpha", F32, 16.0),
            ],
            [("blk.0.attn_q.weight.lora_a", (256, 8), 0)],
        ),
        r"adapter \(LoRA\)",
        "merge it",
    ),
    "lora-untyped.gguf": (
        gguf(
            [("general.architecture", STRING, "llama"), ("adapter.type", STRING, "lora")],
            [("blk.0.attn_q.weight.lora_a", (256, 8), 0)],
        ),
        r"adapter \(LoRA\)",
        "merge it",
    ),
    "imatrix.gguf": (
        gguf(
            [("general.type", STRING, "imatrix"), ("imatrix.chunk_count", U32, 1)],
            [("blk.0.attn_q.weight.in_sum2", (256, 1), 0)],
        ),
        "importance matrix",
        "name the model's file",
    ),
    "control.gguf": (
        gguf([("general.architecture", STRING, "controlvector")], [("direction.1", (256,), 0)]),
        "control vector",
        "name the model's file",
    ),
    "vocabulary.gguf": (
        gguf(pairs(words=("tokenizer.ggml.model", STRING, "gpt2")), []),
        "a vocabulary and no weights",
        "name a file with weights",
    ),
    "no-tensors.gguf": (gguf(pairs(), []), "holds no tensors", "name a file with weights"),
    "no-architecture.gguf": (
        gguf(pairs()[1:]), "does not state its architecture", "convert the model"
    ),
    "image-model.gguf": (
        gguf(pairs("flux", context_length=None)), "flux.context_length", "of a language model"
    ),
    "no-pad-end-short.gguf": (
        gguf(pairs(), UNEVEN, pads_end=False)[:-1], "cut off after", "get the file again"
    ),
    "context-vast.gguf": (
        gguf(pairs(context_length=("llama.context_length", U64, 2**40))),
        r"'1099511627776'.*from 1 to 4,294,967,295",
        "get the file again",
    ),
    "context-zero.gguf": (
        gguf(pairs(context_length=("llama.context_length", U32, 0))),
        "from 1 to 4,294,967,295",
        "get the file again",
    ),
    "context-list.gguf": (
        gguf(pairs(context_length=("llama.context_length", ARRAY, (U32, [512])))),
        "llama.context_length",
        "convert it again",
    ),
    "blocks-list.gguf": (
        gguf(pairs(block_count=("llama.block_count", ARRAY, (U32, [1])))),
        "llama.block_count",
        "get the file again",
    ),
    "q4_0_4_4.gguf": (typed(31), "Q4_0_4_4 .31.*removed", "as Q4_0, or quantize it anew"),
    "q4_0_4_8.gguf": (typed(32), "Q4_0_4_8", "as Q4_0"),
    "q4_0_8_8.gguf": (typed(33), "Q4_0_8_8", "as Q4_0"),
    "iq4_nl_4_4.gguf": (typed(36), "IQ4_NL_4_4", "as IQ4_NL"),
    "iq4_nl_8_8.gguf": (typed(38), "IQ4_NL_8_8", "bitnet.cpp"),
    "q4_2.gguf": (typed(4), "Q4_2", "another type"),
    "newer.gguf": (typed(95), "unknown type 95\n", "update the Python packages gguf and llama-cpp"),
    "fork.gguf": (typed(137), "unknown type 137, as a fork", "the fork that made it"),
    "fork-rows.gguf": (typed(202), "unknown type 202, as a fork", "odllm import"),
    "version-1.gguf": (gguf(pairs(), version=1), "format version is 1, older", "convert it again"),
    "version-4.gguf": (gguf(pairs(), version=4), "format version is 4", "update the Python"),
    "big-endian.gguf": (gguf(pairs(), order=">"), "big-endian", "gguf-convert-endian"),
    "key-twice.gguf": (gguf([*pairs(), pairs()[0]]), "twice", "get the file again"),
    "tensor-twice.gguf": (gguf(pairs(), [*TENSORS, TENSORS[0]]), "same name", "get the file again"),
}  # fmt: skip
"""Files that are no model, by name: the content, what is told, and a word of the remedy."""


def write(folder: Path, name: str, content: bytes) -> Path:
    """Writes one of them into a folder."""
    path = folder / name
    path.write_bytes(content)
    return path
