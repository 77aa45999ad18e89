"""What the agent depends on, for an architecture that need not be this one."""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.machines.machine import CHECKOUT

_LIBC_MINORS = (17, 24, 27, 28)


def names(pyproject: str) -> tuple[str, ...]:
    """What the agent depends on; llama-cpp-python comes from a wheel of its own.

    Args:
        pyproject: The text of pyproject.toml.
    """
    agent = tomllib.loads(pyproject)["project"]["optional-dependencies"]["agent"]
    return tuple(name for name in agent if name != "llama-cpp-python")


def command(arch: str, version: str, folder: Path, wanted: Sequence[str]) -> list[str]:
    """The command that installs packages into a folder.

    Args:
        arch: The architecture, by `uname -m`.
        version: The version of Python, such as `3.11`.
        folder: Where they go.
        wanted: What is wanted.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    platforms = [f"--platform=manylinux_2_{minor}_{arch}" for minor in _LIBC_MINORS]
    of = ["--implementation=cp", f"--python-version={version}", "--only-binary=:all:"]
    pins = ["--constraint", str(CHECKOUT / "constraints.txt")]
    return [*pip, f"--target={folder}", *platforms, *of, *pins, *wanted]


def install(arch: str, version: str, folder: Path) -> Path:
    """The folder of what the agent depends on; what is there is taken.

    Raises:
        CalledProcessError: It cannot be installed.
    """
    if not folder.exists():
        wanted = names((CHECKOUT / "pyproject.toml").read_text("utf-8"))
        unfinished = folder.with_name(f"{folder.name}.part")
        subprocess.run(command(arch, version, unfinished, wanted), check=True)
        unfinished.rename(folder)
    return folder
