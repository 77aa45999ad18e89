"""How llama-cpp-python is compiled for every processor, without compiling it."""

from pathlib import Path

from tests.machines import packages
from tests.machines.machine import CHECKOUT
from tests.machines.wheel import NATIVE, Compiler, compiled, requirement


def stand_in(folder: Path, *, knows_them: bool, arch: str = "x86_64") -> Compiler:
    """A compiler that says of every flag that it knows it, or that it does not."""
    path = folder / "c++"
    path.write_text(f"#!/bin/sh\nexit {int(not knows_them)}\n")
    path.chmod(0o755)
    return Compiler("stand-in", "cc", str(path), arch)


def test_a_build_is_for_all_processors_of_its_architecture(tmp_path: Path) -> None:
    told = stand_in(tmp_path, knows_them=True).surroundings()

    assert "-DGGML_CPU_ALL_VARIANTS=ON" in told["CMAKE_ARGS"]
    assert told["CXX"] == str(tmp_path / "c++")


def test_a_compiler_that_is_too_old_compiles_for_the_processor_that_is_here(tmp_path: Path) -> None:
    told = stand_in(tmp_path, knows_them=False).surroundings()

    assert "GGML_CPU_ALL_VARIANTS" not in told["CMAKE_ARGS"]


def test_only_the_build_for_another_architecture_is_a_cross_build(tmp_path: Path) -> None:
    arm, x86 = (
        stand_in(tmp_path, knows_them=True, arch=arch).surroundings()["CMAKE_ARGS"]
        for arch in ("aarch64", "x86_64")
    )

    assert "SYSTEM_PROCESSOR=aarch64" in arm
    assert "SYSTEM_PROCESSOR" not in x86


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
