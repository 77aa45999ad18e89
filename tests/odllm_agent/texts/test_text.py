import hashlib
import os
from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_agent.models import ladder
from odllm_agent.texts.text import read_text, text_sha256


def test_the_reference_text_ships_with_the_models() -> None:
    shipped = (ladder.folder() / "heldout.txt").read_bytes()
    assert read_text("reference").encode() == shipped
    assert text_sha256("reference") == hashlib.sha256(shipped).hexdigest()


def test_any_text_file_is_a_text_byte_for_byte(tmp_path: Path) -> None:
    content = "Grüße,\r\nauch an Ölaf.\n".encode()
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    assert read_text(str(path)).encode() == content
    assert text_sha256(str(path)) == hashlib.sha256(content).hexdigest()


def test_an_unknown_text_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        read_text("nonsense")
    assert "'nonsense'" in caught.value.message
    assert "reference, wikitext-2" in caught.value.remedy


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\xff\xfe")
    with pytest.raises(UsageError, match=r"model\.gguf cannot be read: line 1: byte 4"):
        read_text(str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(str(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_read_in_the_encoding_that_it_is_written_in(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes("Füße\r\nand more\n".encode(encoding))
    assert read_text(str(path)) == "Füße\r\nand more\n"


def test_a_text_that_is_not_the_one_meant_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("first")
    meant = text_sha256(str(path))
    assert read_text(str(path), meant) == "first"
    path.write_text("second")
    with pytest.raises(UsageError, match="has changed"):
        read_text(str(path), meant)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "text")
    with pytest.raises(UsageError, match="text cannot be read: it is no file"):
        read_text(str(tmp_path / "text"))
