"""How llama-cpp-python is compiled for every processor, without compiling it."""

from pathlib import Path

import pytest

from tests.machines import packages
from tests.machines.machine import CHECKOUT
from tests.machines.wheel import CROSS, NATIVE, Compiler, compiled, requirement


@pytest.mark.parametrize("compiler", [*NATIVE, CROSS], ids=lambda each: each.name)
def test_every_build_is_for_all_processors_of_its_architecture(compiler: Compiler) -> None:
    told = compiler.surroundings()

    assert "-DGGML_CPU_ALL_VARIANTS=ON" in told["CMAKE_ARGS"]
    assert "-DGGML_NATIVE=OFF" in told["CMAKE_ARGS"]
    assert told["CXX"] == compiler.cxx


def test_only_the_build_for_another_architecture_is_a_cross_build() -> None:
    crossed = [
        each for each in (*NATIVE, CROSS) if "SYSTEM_NAME" in each.surroundings()["CMAKE_ARGS"]
    ]

    assert crossed == [CROSS]


def test_the_pinned_version_is_compiled() -> None:
    pinned = requirement("numpy==1\nllama-cpp-python==0.3.36\n")

    assert pinned == "llama-cpp-python==0.3.36"
    assert NATIVE[0].command(pinned, Path("/out"))[-1] == pinned


def test_a_wheel_that_is_there_is_taken(tmp_path: Path) -> None:
    wheel = tmp_path / "llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl"
    wheel.touch()

    assert compiled(NATIVE[0], tmp_path) == wheel


def test_the_agent_gets_all_that_it_depends_on_but_another_build_of_llama_cpp() -> None:
    names = packages.names((CHECKOUT / "pyproject.toml").read_text("utf-8"))

    assert "numpy" in names
    assert "llama-cpp-python" not in names
