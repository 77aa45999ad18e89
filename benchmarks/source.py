"""The source of the llama.cpp that is installed, from llama-cpp-python's own archive."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from benchmarks.folder import cache_folder
from odllm_agent.errors import EngineError

_PACKAGE = "llama-cpp-python"
_INSIDE = ("vendor", "llama.cpp")
# The tools and the headers that they include; the libraries are there already.
_WANTED = ("common", "ggml", "include", "src", "tools", "vendor")


def llama_cpp_source() -> Path:
    """The folder of llama.cpp's source, fetched and unpacked once.

    Raises:
        EngineError: pip cannot fetch the archive, or it holds no llama.cpp.
    """
    folder = cache_folder()
    source = folder / "source"
    if not source.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            unpacked = Path(temporary, "unpacked")
            _unpack(_download(Path(temporary)), unpacked)
            unpacked.rename(source)
    return source


def wanted_path(member: str) -> PurePosixPath | None:
    """Where a file of the archive goes, from the folder of llama.cpp, or `None` for nowhere.

    Args:
        member: Its name in the archive, such as
            `llama_cpp_python-0.3.36/vendor/llama.cpp/include/llama.h`.
    """
    parts = PurePosixPath(member).parts
    if parts[1:3] != _INSIDE or len(parts) < 5 or parts[3] not in _WANTED:
        return None
    return PurePosixPath(*parts[3:])


def _download(folder: Path) -> Path:
    wanted = f"{_PACKAGE}=={metadata.version(_PACKAGE)}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", _PACKAGE, "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    found = sorted(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        raise EngineError(
            f"pip could not fetch the source archive of {wanted}: {done.stderr.strip()[-500:]}",
            "connect to a package index; the archive is fetched once and kept",
        )
    return found[0]


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(target, members=_members(opened), filter="data")
    if not (target / "tools").is_dir():
        raise EngineError(
            f"{archive.name} holds no {'/'.join(_INSIDE)}/tools",
            "this version of llama-cpp-python is arranged in another way: install the pinned one",
        )


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in opened:
        path = wanted_path(member.name)
        if path and member.isfile():
            yield member.replace(name=str(path), deep=False)
