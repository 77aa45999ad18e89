"""An arm64 Debian from which programs are run, though nothing in it is ever installed."""

import subprocess
from pathlib import Path

from tests.machines.machine import Interpreter

_SUITE = "bookworm"
_PYTHON = "3.11"
_PACKAGES = "python3,libgomp1,libstdc++6"


def python(folder: Path) -> Interpreter:
    """The Python of an arm64 Debian in a folder, which is made unless it is there.

    Raises:
        CalledProcessError: It cannot be made.
    """
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.part")
        _fetch(unfinished)
        for package in sorted((unfinished / "var/cache/apt/archives").glob("*.deb")):
            _unpack(package, unfinished)
        unfinished.rename(folder)
    return Interpreter(folder / f"usr/bin/python{_PYTHON}", _PYTHON, folder)


def _fetch(folder: Path) -> None:
    options = ["--foreign", "--arch=arm64", "--variant=minbase", f"--include={_PACKAGES}"]
    subprocess.run(["debootstrap", *options, _SUITE, str(folder)], check=True)


def _unpack(package: Path, folder: Path) -> None:
    """Lays a package's files out; its scripts would need a kernel that runs arm64 programs."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as unpacked:
        keep = ["tar", "--extract", "--keep-directory-symlink", f"--directory={folder}"]
        subprocess.run(keep, stdin=unpacked.stdout, check=True)
