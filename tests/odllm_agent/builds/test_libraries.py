"""The libraries of an engine, and what they say of their making."""

from pathlib import Path

import pytest

from odllm_agent.builds import libraries


def library(folder: Path, content: bytes) -> Path:
    path = folder / "libggml-cpu.so"
    path.write_bytes(b"\x7fELF" + content)
    return path


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        (b"\0GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0", "GCC: (Debian 12.2.0-14+deb12u1) 12.2.0"),
        (b"\0Debian clang version 14.0.6\0", "clang version 14.0.6"),
        (b"\0nothing\0", ""),
    ],
)
def test_the_compiler_is_told_by_the_library(tmp_path: Path, comment: bytes, told: str) -> None:
    assert libraries.compiler([library(tmp_path, comment)]) == told


def test_recorded_flags_are_told(tmp_path: Path) -> None:
    path = library(tmp_path, b"\0GNU C++17 12.2.0 -march=znver4 -O3 -fPIC\0")
    assert libraries.flags([path]) == "-march=znver4 -O3 -fPIC"
    assert libraries.flags([library(tmp_path, b"")]) == ""


def test_another_content_or_name_makes_another_checksum(tmp_path: Path) -> None:
    path = library(tmp_path, b"one")
    first = libraries.checksum([path])
    path.write_bytes(b"two")
    assert libraries.checksum([path.rename(tmp_path / "other.so")]) != first


def test_the_libraries_of_llama_cpp_are_found_without_loading_them() -> None:
    names = {path.name for path in libraries.libraries("llama_cpp")}
    assert any("llama" in name for name in names)
    assert any("ggml-cpu" in name for name in names)
    assert not any("mtmd" in name for name in names)
