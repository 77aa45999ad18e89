"""Overrides that are written are read as what they were: by a shell, by Hydra, by OmegaConf."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from odllm_controller.overrides import line
from odllm_controller.overrides.writing import Value, override, quoted
from tests.odllm_controller.configs import experiment

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("\\'\"${}[]()=,:~ ö")
).filter(lambda text: text != "???")  # OmegaConf's own word for a value that is missing
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    st.lists,
    max_leaves=5,
)

HARD = [
    "/m o/a (1).gguf",
    "it's",
    'say "hi"',
    "a,b",
    "[x]",
    "{a: b}",
    "key=value",
    "$HOME/${USER}",
    "größe/模型.gguf",
    "~/x",
    "null",
    "True",
    "1e3",
    "0x10",
    "-1",
    "inf",
    ".5",
    "",
    " ",
    "back\\slash\\",
    "\\${a}",
    "\\'",
    "tab\tnew\nline",
    "C:\\data\\x.duckdb",
    "#1; rm `x` & y | z > w ! *?",
]


def read(word: str) -> object:
    """What Hydra and OmegaConf make of an override."""
    value = OverridesParser.create().parse_override(word).value()
    return OmegaConf.to_container(OmegaConf.create({"key": value}), resolve=True)["key"]  # type: ignore[call-overload, index]


@given(TEXTS)
def test_any_text_is_read_as_it_was(text: str) -> None:
    assert read(override("key", text)) == text


@given(VALUES)
def test_any_value_is_read_as_it_was(value: Value) -> None:
    assert read(override("key", value)) == value


@given(TEXTS)
@example("a\\")
def test_a_quoted_text_is_one_word_of_the_grammar(text: str) -> None:
    assert OverridesParser.create().parse_override(f"key={quoted(text)}").value() == text


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_are_read_as_they_were_also_in_lists(text: str) -> None:
    assert read(override("key", text)) == text
    assert read(override("key", [text, 1, text])) == [text, 1, text]


@pytest.mark.parametrize("text", ["results/odllm.duckdb", "/m/a-1_b.gguf", "q8_0", "./x"])
def test_a_plain_text_has_no_quotes(text: str) -> None:
    assert override("key", text) == f"key={text}"


@pytest.mark.parametrize("text", [each for each in HARD if each.strip()])
def test_a_path_comes_back_through_a_real_shell_and_the_real_config(text: str) -> None:
    printed = line.joined(["python", "-c", "print", override("store.path", text)])
    program = "import sys; sys.stdout.write(sys.argv[2])"
    there = printed.replace("python -c print", f'"{sys.executable}" -c "{program}" print', 1)
    word = subprocess.run(["sh", "-c", there], capture_output=True, check=True).stdout.decode()
    assert experiment(word).store.path == Path(text).expanduser()
