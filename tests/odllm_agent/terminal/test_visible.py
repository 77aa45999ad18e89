"""Names as a terminal may show them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.terminal.visible import visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("laptop", "laptop"),
        ("Größe 7 µs ± 1, 日本, 👩\u200d💻", "Größe 7 µs ± 1, 日本, 👩\u200d💻"),
        ("A\nB", r"A\nB"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31mred", r"\x9b31mred"),
        ("a\rb\tc\x7f", r"a\rb\tc\x7f"),
        ("a\u202eb\u2066c\u200f", r"a\u202eb\u2066c\u200f"),
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_what_would_steer_a_terminal_is_spelt_out_and_all_else_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_to_be_kept_stays() -> None:
    assert visible("a\nb\x1b", "\n") == "a\nb\\x1b"


def test_of_an_error_the_remedy_keeps_its_line_and_a_name_gets_none() -> None:
    assert visible_lines("no file a\nb\n  name another") == "no file a\\nb\n  name another"


@given(st.text())
def test_no_text_leaves_a_control_code(text: str) -> None:
    assert not {"Cc", "Cs", "Zl", "Zp"} & {*map(unicodedata.category, visible(text))}
    assert visible(visible(text)) == visible(text)
