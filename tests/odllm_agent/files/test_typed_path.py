"""Paths as they are typed."""

from pathlib import Path

import pytest

from odllm_agent.files.typed_path import typed_path


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ö n e")
    monkeypatch.setenv("USERPROFILE", "/home/ö n e")
    assert typed_path("~/x.duckdb") == Path("/home/ö n e/x.duckdb")
    assert typed_path(Path("~")) == Path("/home/ö n e")


@pytest.mark.parametrize("text", ["a/~/b", "x~", "/~", "~nobody-of-this-name/x", "ö~.gguf", "-"])
def test_any_other_path_stays_as_it_is(text: str) -> None:
    assert typed_path(text) == Path(text)
