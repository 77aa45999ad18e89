"""llama-cpp-python compiled for every processor of an architecture, by the compilers here."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.machines.machine import CHECKOUT

_ARGUMENTS = CHECKOUT / "install/cmake-args.sh"
_NO_IMAGES = "-DLLAVA_BUILD=OFF"
_CROSS = (
    "-DCMAKE_SYSTEM_NAME=Linux",
    "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    "-DCMAKE_C_COMPILER_TARGET=aarch64-linux-gnu",
    "-DCMAKE_CXX_COMPILER_TARGET=aarch64-linux-gnu",
)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler that may be here.

    Attributes:
        name: What its build is called here.
        c: Its C compiler.
        cxx: Its C++ compiler.
        arch: What it compiles for.
    """

    name: str
    c: str
    cxx: str
    arch: str = "x86_64"

    @property
    def is_here(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.cxx) is not None

    def surroundings(self) -> dict[str, str]:
        """The variables by which llama-cpp-python is compiled with it."""
        chosen = {"CC": self.c, "CXX": self.cxx}
        options = (self._as_make_does(), _NO_IMAGES, *(_CROSS if self.arch == "aarch64" else ()))
        return chosen | {"CMAKE_ARGS": " ".join(options)}

    def _as_make_does(self) -> str:
        # Clang, which compiles for both architectures, knows the newest of either or of neither.
        surroundings = os.environ | {"CXX": self.cxx}
        told = subprocess.run(
            ["sh", str(_ARGUMENTS)], env=surroundings, capture_output=True, text=True, check=True
        )
        return told.stdout.strip()

    def command(self, requirement: str, out: Path) -> list[str]:
        """The command that compiles a wheel; a wheel of pip's cache would be another compiler's.

        Args:
            requirement: llama-cpp-python with its version.
            out: The folder for the wheel.
        """
        pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir"]
        return [*pip, "--no-binary", "llama-cpp-python", "--wheel-dir", str(out), requirement]


def _gcc(version: int) -> Compiler:
    return Compiler(f"gcc-{version}", f"gcc-{version}", f"g++-{version}")


def _clang(version: int) -> Compiler:
    return Compiler(f"clang-{version}", f"clang-{version}", f"clang++-{version}")


# llama.cpp's variants for ARM end with one for SME, which Debian 12's GCC does not know.
CROSS = Compiler("aarch64-clang-14", "clang-14", "clang++-14", "aarch64")
NATIVE = (*map(_gcc, (12, 14, 11)), *map(_clang, (14, 19)))
"""The first of them that is here compiles what the emulated x86 processors run."""


def requirement(constraints: str) -> str:
    """The pinned llama-cpp-python.

    Args:
        constraints: The text of constraints.txt.
    """
    return next(line for line in constraints.splitlines() if line.startswith("llama-cpp-python=="))


def compiled(compiler: Compiler, folder: Path) -> Path:
    """The wheel of a compiler; it is compiled unless it is in the folder.

    Raises:
        CalledProcessError: It cannot be compiled.
    """
    found = sorted(folder.glob("*.whl"))
    if not found:
        wanted = requirement((CHECKOUT / "constraints.txt").read_text("utf-8"))
        command = compiler.command(wanted, folder)
        subprocess.run(command, env=os.environ | compiler.surroundings(), check=True)
        found = sorted(folder.glob("*.whl"))
    return found[0]
