"""What is told of files that people take for a model, and that are none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import ModelInvalid, ModelMissing
from odllm_agent.formats.file_kind import START_BYTES, kind_of
from odllm_agent.formats.file_name import why_not_whole
from odllm_agent.models import read_header
from tests import odd_files
from tests.odd_files import REFUSED, SOUND


@pytest.mark.parametrize("name", SOUND)
def test_an_unusual_model_is_read(name: str, tmp_path: Path) -> None:
    header = read_header(odd_files.write(tmp_path, name, SOUND[name]))
    assert (header.architecture, header.context_tokens, header.n_blocks) == ("llama", 512, 1)
    assert header.file_bytes == len(SOUND[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_is_told_with_what_to_do(name: str, tmp_path: Path) -> None:
    content, told, remedy = REFUSED[name]
    path = odd_files.write(tmp_path, name, content)
    with pytest.raises(ModelInvalid, match=told) as caught:
        read_header(path)
    assert caught.value.message.startswith(f"{path} is no usable GGUF file: ")
    with pytest.raises(ModelInvalid, match=remedy):
        raise ModelInvalid(caught.value.remedy)


def test_a_model_in_parts_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    first, second = odd_files.split()
    path = odd_files.write(tmp_path, "m-00001-of-00002.gguf", first)
    with pytest.raises(ModelMissing, match=r"part 2 of 2.*m-00002-of-00002\.gguf") as caught:
        read_header(path)
    assert "get all parts" in caught.value.remedy
    odd_files.write(tmp_path, "m-00002-of-00002.gguf", second)
    assert len(read_header(path).tensors) == 3


def test_what_a_server_says_is_shown_in_one_short_line_without_control_codes(
    tmp_path: Path,
) -> None:
    content = b"\x1b[31mno\x1b[0m\n" + b"<html>" + b"x " * 4000
    path = odd_files.write(tmp_path, "page.gguf", content)
    with pytest.raises(ModelInvalid) as caught:
        read_header(path)
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@given(start=st.binary(max_size=START_BYTES))
def test_no_bytes_are_too_odd(start: bytes) -> None:
    kind = kind_of(start)
    assert kind is None or (kind.what and kind.remedy)


@given(text=st.text(min_size=1, max_size=3000))
def test_text_is_told_as_text_unless_it_starts_like_something_else(text: str) -> None:
    start = ("Repository not found. " + text).encode()
    kind = kind_of(start[:START_BYTES])
    if all(letter.isprintable() or letter.isspace() for letter in text):
        assert kind
        assert "Repository not found" in kind.what or "GGUF" in kind.what


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.gguf.part1of3", "cat a.gguf.part1of3 a.gguf.part2of3 a.gguf.part3of3 > a.gguf"),
        ("a.gguf.part1of20", "cat a.gguf.part* > a.gguf"),
        ("a.gguf.part-2-of-3", None),
        ("a.Q6_K.gguf-split-b", "cat a.Q6_K.gguf-split-* > a.Q6_K.gguf"),
        ("a.gguf.part03", "cat a.gguf.part* > a.gguf"),
        ("a.gguf.partaa", "cat a.gguf.part* > a.gguf"),
        ("a.gguf.xaa", "cat a.gguf.x* > a.gguf"),
        ("a.gguf.part", "let its download go on"),
        ("a.gguf.incomplete", "let its download go on"),
        ("a-00001-of-00002.gguf", None),
        ("a.gguf", None),
        ("a.GGUF", None),
        ("model-part1.gguf", None),
    ],
)
def test_a_name_tells_of_pieces_and_unfinished_downloads(name: str, told: str | None) -> None:
    found = why_not_whole(name)
    assert (found is None) == (told is None)
    assert told is None or told in (found or "")
