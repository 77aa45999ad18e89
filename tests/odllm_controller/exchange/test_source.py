"""What is imported, read once, in whatever encoding."""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_controller.exchange import source
from odllm_controller.exchange.encoding import decoded, encoding_of
from odllm_controller.exchange.kind import Kind
from odllm_controller.exchange.source import opened

TEXT = '[{"n_prompt": 5, "cpu_info": "µ ± 日本 👩"}]\n'


def text_of(path: Path) -> str:
    with opened(path) as found:
        return found.text()


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (b"", "utf-32-le"),
        (b"", "utf-32-be"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_unicode_is_read_with_a_mark_and_without(
    tmp_path: Path, mark: bytes, encoding: str, line_end: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(mark + (TEXT * 2).replace("\n", line_end).encode(encoding))
    assert text_of(path).replace("\r\n", "\n") == TEXT * 2


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(TEXT.encode()), "packed with gzip"),
        (lzma.compress(TEXT.encode()), "packed with xz"),
        (bz2.compress(TEXT.encode()), "packed with bzip2"),
        (b"PK\x03\x04" + TEXT.encode(), "a zip archive"),
        (b"SQLite format 3\0" + bytes(100), "a database of SQLite"),
        (bytes(8) + b"DUCK" + bytes(100), "a database of DuckDB"),
    ],
    ids=["gzip", "xz", "bzip2", "zip", "SQLite", "DuckDB"],
)
def test_what_is_packed_is_told_by_name_and_how_to_unpack_it(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "bench"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"bench is {what}") as refused, opened(path):
        pass
    assert refused.value.remedy


@given(st.text(), st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]))
def test_what_has_a_mark_is_read_as_it_was_written(text: str, encoding: str) -> None:
    content = f"\ufeff{text}".encode(encoding)
    # A text in UTF-16 that begins with a zero looks like one in UTF-32.
    if not text.startswith("\0"):
        assert decoded(content, encoding_of(content)) == text


@given(st.binary(max_size=60))
def test_any_bytes_are_a_text_or_told(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(decoded(content, encoding_of(content)), str)


def test_what_was_cut_in_the_middle_of_a_character_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(TEXT.encode("utf-16")[:-1])
    assert text_of(path) == TEXT[:-1] + "\n\N{REPLACEMENT CHARACTER}"


def test_what_is_no_character_is_left_for_its_record_to_tell(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"good\nb\xffd\n")
    assert text_of(path) == "good\nb\udcffd\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_pipe_is_read_once_and_whole(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes((TEXT * 9999).encode(encoding)))
    writer.start()
    assert text_of(path) == TEXT * 9999
    writer.join()


def test_the_standard_input_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO(TEXT.encode("utf-16"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    with opened(Path("-")) as found:
        assert (found.name, found.kind, found.text()) == ("stdin", Kind.TEXT, TEXT)


@pytest.mark.parametrize("name", ["none", "."])
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"), opened(tmp_path / name):
        pass


def test_what_is_too_large_is_told_of_a_file_and_of_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MOST_BYTES", 10)
    path = tmp_path / "f"
    path.write_text(TEXT)
    with pytest.raises(UsageError, match="split it between its lines"):
        text_of(path)
    with pytest.raises(UsageError, match="more than is read at once"):
        text_of(Path("/dev/zero"))


def test_a_mark_of_another_encoding_than_that_of_the_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(codecs.BOM_UTF32_LE + b"\xff" * 8)
    with pytest.raises(UsageError, match="looks like UTF-32-LE and is none"):
        text_of(path)
