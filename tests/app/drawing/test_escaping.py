"""Text that is shown as it is."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from odllm_app.drawing.escaping import plain, short

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=200)


@given(TEXTS)
def test_markdown_shows_what_stands_there(text: str) -> None:
    shown = plain(text, 300)
    tokens = MarkdownIt().enable(["strikethrough", "table"]).parse(f"name {shown}")
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert kinds <= {"text", "text_special"}
    said = "".join(child.content for token in tokens for child in token.children or ())
    assert " ".join(said.split()) == " ".join(f"name {text}".split())


@given(TEXTS)
def test_text_is_one_line_and_not_too_long(text: str) -> None:
    assert len(short(text, 20)) <= 20
    assert "\n" not in short(text, 20)


def test_long_text_keeps_both_ends() -> None:
    assert short("a" * 50 + "b" * 50, 21) == "a" * 10 + "…" + "b" * 10
