import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.files.text_file import NotText, decoded

MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"))


@given(TEXT, st.sampled_from(sorted(MARKS)))
def test_a_text_with_a_byte_order_mark_is_read_in_its_encoding(text: str, encoding: str) -> None:
    assert decoded(MARKS[encoding] + text.encode(encoding)) == text


@given(TEXT, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]))
def test_a_text_without_a_mark_is_told_by_its_first_letters(text: str, encoding: str) -> None:
    assert decoded(f"ab{text}".encode(encoding)) == f"ab{text}"


@given(st.binary())
def test_any_bytes_are_text_or_refused_with_a_line(content: bytes) -> None:
    try:
        told = decoded(content)
    except NotText as error:
        told = str(error).replace("line ", "", 1)
        assert told[0].isdigit()
    assert "\0" not in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"one\ntwo \xff", "line 2: byte 8 is no UTF-8"),
        (codecs.BOM_UTF8 + b"one\r\n\xe9t\xe9", "line 2: byte 8 is no UTF-8"),
        (codecs.BOM_UTF16_LE + "one\ntwo".encode("utf-16-le")[:-1], "is no UTF-16-LE"),
        (b"GGUF\x03\0\0\0", "line 1: it holds a zero byte"),
    ],
)
def test_what_is_no_text_is_told_with_its_line(content: bytes, told: str) -> None:
    with pytest.raises(NotText, match=told):
        decoded(content)
