"""Which of several CPU backends of llama.cpp is loaded."""

import json
from pathlib import Path

import pytest

from odllm_agent.engines.llama_cpp import variants


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The libraries of a llama.cpp with three CPU backends, of which this processor runs two."""
    monkeypatch.setenv("ODLLM_BUILDS_DIR", str(tmp_path / "builds"))
    monkeypatch.delenv(variants.VARIABLE, raising=False)
    folder = tmp_path / "llama_cpp" / "lib"
    backends = tmp_path / "bin"
    for each in (folder, backends):
        each.mkdir(parents=True)
    scores = {"haswell": 64, "zen4": 512, "sapphirerapids": 0}
    for name in scores:
        (backends / f"libggml-cpu-{name}.so").touch()
    monkeypatch.setattr(
        variants, "_score", lambda path: scores[path.stem.removeprefix("libggml-cpu-")]
    )
    return folder


def named(path: Path | None) -> str:
    return path.stem.removeprefix("libggml-cpu-") if path else ""


def test_a_build_for_one_processor_leaves_no_choice(tmp_path: Path) -> None:
    assert variants.chosen(tmp_path) is None
    assert variants.in_order(tmp_path) == ()


def test_the_best_that_this_processor_runs_comes_first(libraries: Path) -> None:
    assert list(map(named, variants.in_order(libraries))) == ["zen4", "haswell"]
    assert named(variants.chosen(libraries)) == "zen4"


def test_what_was_found_sound_is_loaded_on_this_processor_only(
    libraries: Path, tmp_path: Path
) -> None:
    _, second = variants.in_order(libraries)
    variants.choose(second)
    assert variants.chosen(libraries) == second
    (kept,) = (tmp_path / "builds").iterdir()
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"processor": "another"}))
    assert named(variants.chosen(libraries)) == "zen4"


def test_what_was_told_is_loaded(libraries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variants.VARIABLE, "/elsewhere/libggml-cpu-x64.so")
    assert named(variants.chosen(libraries)) == "x64"


def test_a_library_that_is_none_has_no_score(tmp_path: Path) -> None:
    (tmp_path / "libggml-cpu-broken.so").write_text("no library")
    assert variants.in_order(tmp_path) == ()
