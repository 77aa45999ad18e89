import os
import struct
from collections.abc import Iterator
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.errors import ModelInvalid, ModelMissing
from odllm_agent.models import Header, read_header
from tests.models import Shape, tensor_shapes, write_gguf
from tests.reading import at_most_read

U32, STRING, ARRAY = 4, 8, 9
EXAMPLES = settings(max_examples=400, deadline=None)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def number(key: str, value: int) -> bytes:
    return text(key) + struct.pack("<II", U32, value)


def tensor(
    name: str = "w", *, shape: tuple[int, ...] = (32,), type_number: int = 0, offset: int = 0
) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", type_number, offset)


WHOLE = (
    text("general.architecture") + struct.pack("<I", STRING) + text("qwen2"),
    number("qwen2.context_length", 64),
    number("qwen2.block_count", 1),
)


def file_of(
    *,
    tensors: tuple[bytes, ...] = (tensor(),),
    pairs: tuple[bytes, ...] = WHOLE,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A GGUF file written byte by byte, with 4 KiB of data."""
    n_tensors, n_pairs = counts or (len(tensors), len(pairs))
    start = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_pairs)
    return start + b"".join((*pairs, *tensors)) + bytes(4096)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "model.gguf"


@pytest.fixture(scope="module")
def content(tiny: Path) -> bytes:
    return tiny.read_bytes()


def read(path: Path, content: bytes) -> Header:
    path.write_bytes(content)
    return read_header(path)


@pytest.mark.parametrize(
    ("shape", "kind"), [(Shape(), "F16"), (Shape(layers=2, ffn=512), "BF16"), (Shape(), "F32")]
)
def test_what_it_tells_is_what_gguf_py_tells(tmp_path: Path, shape: Shape, kind: str) -> None:
    header = read_header(write_gguf(tmp_path / "model.gguf", shape, kind=kind))
    theirs = gguf.GGUFReader(header.path).tensors
    assert [(t.name, t.type, list(t.shape), t.n_weights, t.n_bytes) for t in header.tensors] == [
        (t.name, t.tensor_type.name, t.shape.tolist(), t.n_elements, t.n_bytes) for t in theirs
    ]
    assert header.weight_bytes == sum(t.data.nbytes for t in theirs)
    assert header.quantization == kind
    assert not header.quantized
    assert (header.architecture, header.context_tokens) == ("qwen2", shape.context_tokens)
    assert header.n_blocks == shape.layers
    assert header.file_bytes == header.path.stat().st_size


def test_weights_are_counted_over_all_tensors(tiny: Path) -> None:
    sizes = [size for _, size in tensor_shapes(Shape())]
    assert read_header(tiny).n_weights == sum(
        size[0] * (size[1] if len(size) == 2 else 1) for size in sizes
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no-such\.gguf") as caught:
        read_header(tmp_path / "no-such.gguf")
    assert caught.value.remedy


def test_a_path_that_no_system_takes_is_missing() -> None:
    with pytest.raises(ModelMissing):
        read_header(Path("a\0b"))


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="folder"):
        read_header(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelInvalid, match="device"):
        read_header(tmp_path / "pipe")


@EXAMPLES
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_is_invalid(scratch: Path, content: bytes, share: float) -> None:
    length = int(len(content) * share)
    with pytest.raises(ModelInvalid, match=r"cut off|empty") as caught:
        read(scratch, content[:length])
    assert str(scratch) in caught.value.message
    assert caught.value.remedy


def test_a_file_cut_off_anywhere_in_its_header_is_invalid(scratch: Path, content: bytes) -> None:
    start = len(content) - read(scratch, content).weight_bytes
    for length in range(0, start, 37):
        with pytest.raises(ModelInvalid):
            read(scratch, content[:length])


def test_one_byte_short_is_cut_off(scratch: Path, content: bytes) -> None:
    with pytest.raises(ModelInvalid, match="cut off after"):
        read(scratch, content[:-1])


@EXAMPLES
@given(data=st.data())
def test_a_changed_header_is_read_or_refused(
    scratch: Path, content: bytes, data: st.DataObject
) -> None:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 11_400))
        new = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=1),
                st.sampled_from([struct.pack("<Q", n) for n in (0, 2**31, 2**63, 2**64 - 1)]),
            )
        )
        changed[place : place + len(new)] = new
    try:
        header = read(scratch, bytes(changed))
    except ModelInvalid as error:
        assert str(scratch) in error.message  # noqa: PT017
    else:
        assert 0 < header.weight_bytes < header.file_bytes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"GGU", "cut off"),
        (b"PK\x03\x04" + bytes(100), "does not start with GGUF"),
        (file_of(version=1), "version"),
        (file_of(version=0x0300_0000), "little-endian"),
        (file_of(counts=(2**63, 3)), "not credible"),
        (file_of(counts=(1, 2**64 - 1)), "not credible"),
        (file_of(counts=(0, 3)), "no tensors"),
        (file_of(pairs=(*WHOLE, WHOLE[0])), "twice"),
        (file_of(pairs=(*WHOLE, text("k") + struct.pack("<I", 99))), "unknown kind 99"),
        (
            file_of(pairs=(*WHOLE, text("k") + struct.pack("<IIQ", ARRAY, STRING, 2**60))),
            "cut off",
        ),
        (file_of(pairs=(*WHOLE, text("k") + struct.pack("<IIQ", ARRAY, U32, 2**62))), "cut off"),
        (file_of(pairs=(*WHOLE, text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1))), "kind 9"),
        (file_of(pairs=(*WHOLE, number("general.alignment", 0))), "alignment"),
        (file_of(pairs=(*WHOLE, number("general.alignment", 48))), "alignment"),
        (file_of(pairs=(*WHOLE, number("split.count", 3))), "first of 3 parts"),
        (file_of(pairs=WHOLE[:1] + WHOLE[2:]), "context_length"),
        (file_of(pairs=WHOLE[:2]), "block_count"),
        (file_of(tensors=(tensor("n" * 64),)), "longer than 63"),
        (file_of(tensors=(tensor(shape=(1, 1, 1, 1, 32)),)), "5 dimensions"),
        (file_of(tensors=(tensor(shape=(2**62, 2**62)),)), "cut off"),
        (file_of(tensors=(tensor(shape=(0,)),)), "shape"),
        (file_of(tensors=(tensor(shape=(100,), type_number=2),)), "Q4_0 has the shape"),
        (file_of(tensors=(tensor(type_number=4),)), "type Q4_2 .4., which llama.cpp has removed"),
        (file_of(tensors=(tensor(offset=2**63),)), "said to start"),
        (file_of(tensors=(tensor("a"), tensor("b"))), "said to start"),
        (
            file_of(tensors=(tensor("a"), tensor("b", offset=160))),
            "start at byte 160 where only 128 can be right",
        ),
        (file_of(tensors=(tensor("a"), tensor("a", offset=128))), "same name"),
    ],
)
def test_nonsense_is_told(scratch: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ModelInvalid, match=reason) as caught:
        read(scratch, content)
    assert caught.value.remedy


def test_the_files_written_byte_by_byte_are_sound_otherwise(scratch: Path) -> None:
    header = read(scratch, file_of(tensors=(tensor("a"), tensor("b", offset=128))))
    assert header.weight_bytes == 2 * 128


@pytest.fixture
def vast(tmp_path: Path) -> Iterator[Path]:
    """Where a file of 100 GB may lie that takes no room on the disk; removed at the end."""
    if os.name == "nt":
        pytest.skip("Windows takes the room at once")
    yield tmp_path / "vast.gguf"
    (tmp_path / "vast.gguf").unlink()


def test_a_header_without_end_is_given_up(vast: Path) -> None:
    endless = text("k") + struct.pack("<IIQ", ARRAY, STRING, 2**40)
    vast.write_bytes(file_of(tensors=(), pairs=(endless,), counts=(1, 1)))
    os.truncate(vast, 100 * 10**9)
    with at_most_read(10**9), pytest.raises(ModelInvalid, match="longer than"):
        read_header(vast)


def test_a_vast_file_is_not_read(vast: Path) -> None:
    vast.write_bytes(file_of(tensors=(tensor(shape=(25_000_000_000,)),)))
    os.truncate(vast, 101 * 10**9)
    with at_most_read(10**7):
        assert read_header(vast).weight_bytes == 100 * 10**9


@pytest.mark.parametrize(
    ("stated", "tensors", "told"),
    [
        (15, (tensor(shape=(256,), type_number=12),), "Q4_K_M"),
        (10, (tensor(shape=(256,), type_number=2),), "Q2_K"),
        (None, (tensor(shape=(256,), type_number=12),), "Q4_K"),
        (1, (tensor(shape=(256,), type_number=12),), "Q4_K"),
        (2, (tensor(type_number=1),), "F16"),
        (99, (tensor(shape=(256,), type_number=8),), "Q8_0"),
        (38, (tensor(shape=(256,), type_number=39),), "MXFP4_MOE"),
        (36, (tensor(shape=(256,), type_number=34),), "TQ1_0"),
    ],
)
def test_a_type_that_the_tensors_belie_is_not_told(
    scratch: Path, stated: int | None, tensors: tuple[bytes, ...], told: str
) -> None:
    pairs = WHOLE if stated is None else (*WHOLE, number("general.file_type", stated))
    assert read(scratch, file_of(tensors=tensors, pairs=pairs)).quantization == told
