"""A model file, a cache, and a disk that is nearly full."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odllm_agent.models import Cache
from tests.models import write_gguf


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An F16 model of 1.1 MB that no test may change."""
    return write_gguf(tmp_path_factory.mktemp("models") / "tiny-F16.gguf")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a real file system of so many bytes."""
    mounted: list[Path] = []

    def mount(size_bytes: int) -> Path:
        if shutil.which("mount") is None or getattr(os, "geteuid", lambda: 1)() != 0:
            pytest.skip("only root can mount a small disk")
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
