"""Fetching and building, as far as nothing is fetched or built."""

import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from benchmarks import source, tool
from odllm_agent.errors import EngineError
from odllm_agent.files.folders import ROOT_VARIABLE

TOP = "llama_cpp_python-0.3.36/vendor/llama.cpp"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))


@pytest.mark.parametrize(
    ("member", "path"),
    [
        (f"{TOP}/include/llama.h", "include/llama.h"),
        (f"{TOP}/tools/llama-bench/main.cpp", "tools/llama-bench/main.cpp"),
        (f"{TOP}/vendor/nlohmann/json.hpp", "vendor/nlohmann/json.hpp"),
        (f"{TOP}/models/vocab.gguf", None),
        (f"{TOP}/README.md", None),
        (f"{TOP}/tools", None),
        ("llama_cpp_python-0.3.36/llama_cpp/llama.py", None),
        ("llama_cpp_python-0.3.36", None),
    ],
)
def test_only_tools_and_headers_are_unpacked(member: str, path: str | None) -> None:
    assert source.wanted_path(member) == (PurePosixPath(path) if path else None)


def test_the_tool_is_told_where_source_and_libraries_are() -> None:
    configure, build = tool.build_commands(
        "llama-perplexity", Path("/src"), Path("/env/site-packages"), Path("/build")
    )
    assert {"-DSOURCE=/src", "-DPACKAGES=/env/site-packages", "-DFOLDER=perplexity"} <= set(
        configure
    )
    assert "-DCMAKE_BUILD_TYPE=Release" in configure
    assert build[:3] == ["cmake", "--build", "/build"]


def test_without_cmake_the_remedy_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineError, match="no cmake") as caught:
        tool.build("llama-bench")
    assert "apt install cmake" in caught.value.remedy


def test_an_archive_that_cannot_be_fetched_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], 1, "", "no index here")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(EngineError, match="no index here"):
        source.llama_cpp_source()


def test_a_build_that_fails_shows_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], 2, "", "no CMAKE_CXX_COMPILER could be found")

    monkeypatch.setattr(tool, "llama_cpp_source", lambda: Path("/src"))
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/cmake")
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(EngineError, match="CMAKE_CXX_COMPILER") as caught:
        tool.build("llama-bench")
    assert "C++ compiler" in caught.value.remedy
