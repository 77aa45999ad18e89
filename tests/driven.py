"""A machine whose package draws a known power: the kernel's files, driven, in a mount namespace."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.odllm_agent.meters import powercap


def may_mount() -> bool:
    """Whether a tree can be mounted here where only one process and its children see it."""
    if shutil.which("unshare") is None or getattr(os, "geteuid", lambda: 1)() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        trial = within(Path(folder), ["true"])
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def within(tree: Path, command: Sequence[str]) -> list[str]:
    """The command line that runs a command where the tree is the system's /sys/class."""
    shell = f"mount --bind '{tree}' {powercap.MOUNTED} && exec \"$@\""
    return ["unshare", "-m", "sh", "-c", shell, "sh", *command]


@contextlib.contextmanager
def drawing(tree: Path, watts: float) -> Iterator[None]:
    """Advances the tree's first package at a power."""
    drive = within(tree, [sys.executable, "-m", powercap.MODULE, "drive", str(watts)])
    with subprocess.Popen(drive, stdout=subprocess.PIPE, cwd=powercap.REPOSITORY) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        try:
            yield
        finally:
            driver.kill()
