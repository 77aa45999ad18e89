"""Command lines as they are stored."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_controller.overrides import line

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))


@given(WORDS)
def test_a_line_has_the_words_that_it_was_made_of(words: list[str]) -> None:
    assert line.words(line.joined(words)) == words


def test_a_shell_finds_the_same_words() -> None:
    words = ["a b", "it's", '"x"', "$HOME", "ö", "a,b", "[1]", "k=v", "~", "(1)", "\\", "*", ""]
    told = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {line.joined(words)}"], capture_output=True, check=True
    )
    assert told.stdout.decode().splitlines() == words


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (
            "/x/odllm run +experiment=smoke models.file.path='/m o/a (1).gguf' quality=none",
            [
                "/x/odllm run",
                "+experiment=smoke",
                "models.file.path='/m o/a (1).gguf'",
                "quality=none",
            ],
        ),
        (
            'odllm +experiment=sweep fleet.select="ram_gb >= 16 and engine.openvino" --verbose',
            [
                "odllm",
                "+experiment=sweep",
                'fleet.select="ram_gb >= 16 and engine.openvino"',
                "--verbose",
            ],
        ),
        (
            "odllm +experiment=sweep models.file.path=/it's/x.gguf ~quality ++a=1",
            ["odllm", "+experiment=sweep", "models.file.path=/it's/x.gguf ~quality", "++a=1"],
        ),
    ],
)
def test_a_line_of_an_earlier_version_is_taken_apart_at_its_overrides(
    stored: str, words: list[str]
) -> None:
    assert line.words(stored) == words
