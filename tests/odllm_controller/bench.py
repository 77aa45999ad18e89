"""The whole command on a bench of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import psutil

from odllm_agent.errors import StoreError
from odllm_controller import store
from tests import family
from tests.models import write_gguf
from tests.odllm_controller.configs import SMALL

Found = TypeVar("Found")

QUICK = (
    *SMALL,
    "ceilings=never",
    "workloads.short.prompt_tokens=16",
    "workloads.short.output_tokens=8",
)


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with a model, a cache and a store of its own."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "results" / "odllm.duckdb"

    @property
    def model(self) -> Path:
        path = self.folder / "tiny-F16.gguf"
        return path if path.exists() else write_gguf(path)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "COLUMNS": "160",
            "ODLLM_CACHE_DIR": str(self.folder / "cache"),
        }

    @contextlib.contextmanager
    def started(self, *overrides: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A run that goes on; if it still does at the end, it is ended with all that it started."""
        with subprocess.Popen(
            [
                sys.executable,
                "-m",
                "odllm_controller",
                *QUICK,
                f"models.file.path={self.model}",
                f"store.path={self.store}",
                *overrides,
            ],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    _kill(psutil.Process(process.pid))

    def run(self, *overrides: str, **environment: str) -> Ended:
        with self.started(*overrides, **environment) as process:
            out, err = process.communicate(timeout=2 * family.PATIENCE_S)
        return Ended(process.returncode, out, err)

    def has_store(self) -> bool:
        """Whether there is a store that can be read: its file is there before it is one."""
        try:
            self.query("SELECT 1")
        except StoreError:
            return False
        return True

    def query(self, sql: str) -> pd.DataFrame:
        return store.read(self.store, sql)


def eventually(condition: Callable[[], Found]) -> Found:
    """Waits until something holds.

    Returns:
        What was found then.
    """
    end = time.monotonic() + family.PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def _kill(process: psutil.Process) -> None:
    for each in (*family.descendants(process), process):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
