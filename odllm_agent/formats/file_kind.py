"""What a file is that does not start as a GGUF file does, told by its first bytes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

START_BYTES = 4096
"""As much of a file as is looked at."""

_TAR_AT = 257
_ZIP_NAME_AT = 30
_MOST_LETTERS = 80
# A longer header than that is refused by the format's own reader.
_SAFETENSORS_MOST_BYTES = 100 * 2**20

_CONVERT = "convert the model's folder with llama.cpp's convert_hf_to_gguf.py, or get its GGUF file"
_NEWER = "get the model's GGUF file, or convert it with llama.cpp's convert_llama_ggml_to_gguf.py"
_AGAIN = "download it again; where its server wants a login, give one, as HF_TOKEN for the hub"


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is.

    Attributes:
        what: What it is, in words that follow `it is`.
        remedy: How to come from there to a model that can be measured.
    """

    what: str
    remedy: str


PACKINGS: Sequence[tuple[int, bytes, FileKind]] = (
    (0, b"\x1f\x8b", FileKind("packed with gzip", "unpack it with `gunzip`")),
    (0, b"\x28\xb5\x2f\xfd", FileKind("packed with zstd", "unpack it with `unzstd`")),
    (0, b"\xfd7zXZ\0", FileKind("packed with xz", "unpack it with `unxz`")),
    (0, b"BZh", FileKind("packed with bzip2", "unpack it with `bunzip2`")),
    (0, b"\x04\x22\x4d\x18", FileKind("packed with lz4", "unpack it with `unlz4`")),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", "unpack it with `7z x`")),
    (0, b"Rar!\x1a\x07", FileKind("a RAR archive", "unpack it with `unrar x`")),
    (_TAR_AT, b"ustar", FileKind("a tar archive", "unpack it with `tar -xf`")),
)
"""What anything may be packed in, by bytes and where they stand."""

# The first that is there counts.
_MARKS: Sequence[tuple[int, bytes, FileKind]] = (
    *PACKINGS,
    (0, b"PK\x05\x06", FileKind("an empty zip archive", _AGAIN)),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file, as of Keras", _CONVERT)),
    (0, b"\x93NUMPY", FileKind("an array of NumPy", "name the model's GGUF file")),
    (4, b"TFL3", FileKind("a TensorFlow Lite model", "name the model's GGUF file")),
    (0, b"lmgg", FileKind("of the format GGML, older than GGUF", _NEWER)),
    (0, b"fmgg", FileKind("of the format GGMF, older than GGUF", _NEWER)),
    (0, b"tjgg", FileKind("of the format GGJT, older than GGUF", _NEWER)),
    (
        0,
        b"algg",
        FileKind(
            "a LoRA adapter of a format older than GGUF",
            "merge it into the model that it was trained on, and measure what comes of it",
        ),
    ),
    (
        8,
        b"blk.",
        FileKind(
            "an importance matrix of the quantizer",
            "name the model's file; the matrix is of use only when one is quantized",
        ),
    ),
    (0, b"%PDF", FileKind("a PDF document", "name the model's GGUF file")),
)
_PROGRAMS = (b"\x7fELF", b"MZ", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_POINTERS = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",
)


def kind_of(start: bytes) -> FileKind | None:
    """What a file is by its first bytes, or `None` if that is not known.

    Args:
        start: The first `START_BYTES` of the file, or all of it.
    """
    for place, mark, kind in _MARKS:
        if start.startswith(mark, place):
            return kind
    for tell in (_zeros, _zip, _tensors, _program, _shifted, _pointer, _text):
        if found := tell(start):
            return found
    return None


def _zeros(start: bytes) -> FileKind | None:
    if start.strip(b"\0"):
        return None
    return FileKind(
        "nothing but zeros at its start, as a download that was not finished",
        "let the download go on to its end, or download it again",
    )


def _zip(start: bytes) -> FileKind | None:
    if not start.startswith(b"PK\x03\x04"):
        return None
    first_name = start[_ZIP_NAME_AT : _ZIP_NAME_AT + int.from_bytes(start[26:28], "little")]
    if first_name.endswith((b"data.pkl", b".data/serialization_id", b".format_version")):
        return FileKind("a checkpoint of PyTorch", _CONVERT)
    return FileKind("a zip archive", "unpack it with `unzip`")


def _tensors(start: bytes) -> FileKind | None:
    """The formats of tensors that have no mark of their own."""
    header_bytes = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and 1 < header_bytes <= _SAFETENSORS_MOST_BYTES:
        return FileKind("a file of safetensors", _CONVERT)
    if re.match(rb"\x80[\x02-\x05][\x8a\x95}(ch]", start):
        return FileKind("a Python pickle, as of PyTorch", _CONVERT)
    # The version of the format, and either the name of what wrote it or the graph itself.
    if re.match(rb"\x08[\x01-\x20](\x12.[ -~]|[\x3a\x42])", start, re.DOTALL):
        return FileKind("an ONNX model", "name the model's GGUF file; ONNX is not run here")
    return None


def _program(start: bytes) -> FileKind | None:
    if not start.startswith(_PROGRAMS):
        return None
    return FileKind(
        "a program",
        "name a .gguf file; if it is a llamafile, its model comes out with `unzip FILE '*.gguf'`",
    )


def _shifted(start: bytes) -> FileKind | None:
    place = start.find(b"GGUF\x02\0\0\0")
    place = place if place > 0 else start.find(b"GGUF\x03\0\0\0")
    if place <= 0:
        return None
    return FileKind(
        f"a GGUF file with {place:,} other bytes before it",
        f"download it again, or take them off: `tail -c +{place + 1} FILE > NEW.gguf`",
    )


def _pointer(start: bytes) -> FileKind | None:
    """What stands in a repository in the place of a large file."""
    if start.startswith(_POINTERS):
        return FileKind(
            "a git LFS pointer in the place of the model",
            "fetch the model itself: `git lfs install`, then `git lfs pull` in its repository",
        )
    if start.startswith(b"# xet version"):
        return FileKind("a Xet pointer in the place of the model", _AGAIN)
    if re.match(rb"(\.\./)*(/|\.git/)annex/objects/", start):
        return FileKind(
            "a git-annex pointer in the place of the model", "`git annex get` fetches the model"
        )
    return None


def _text(start: bytes) -> FileKind | None:
    text = _decoded(start)
    if text is None:
        return None
    shown = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    quoted = f"({shown[:_MOST_LETTERS].strip()}{'…' if len(shown) > _MOST_LETTERS else ''})"
    head = text.lstrip().lower()
    if head.startswith(("<!doctype html", "<html")) or "<html" in head:
        return FileKind(f"an HTML page, of a login or an error {quoted}", _AGAIN)
    if "<net " in head and head.startswith("<"):
        return FileKind("the graph of a model in OpenVINO's form", "name the folder that it is in")
    if head.startswith("<"):
        return FileKind(f"XML, such as a server's error message {quoted}", _AGAIN)
    if head.startswith(("{", "[")):
        of_model = '"model_type"' in head or '"weight_map"' in head
        remedy = _CONVERT if of_model else _AGAIN
        return FileKind(f"JSON, such as a server's error message {quoted}", remedy)
    return FileKind(f"text {quoted}", f"{_AGAIN}; or name the model's .gguf file")


def _decoded(start: bytes) -> str | None:
    """The start as text, or `None` if it is none."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return start[: len(start) // 2 * 2].decode("utf-16", "replace")
    try:
        # The last letter may be cut.
        text = start.decode("utf-8-sig") if len(start) < START_BYTES else _cut(start)
    except UnicodeDecodeError:
        return None
    controls = sum(not (letter.isprintable() or letter.isspace()) for letter in text)
    return text if text.strip() and not controls else None


def _cut(start: bytes) -> str:
    for n_left in range(4):
        try:
            return start[: len(start) - n_left].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return start.decode("utf-8-sig")
