"""The whole command on a bench of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

from odllm_controller import store
from tests.models import write_gguf
from tests.odllm_controller.configs import SMALL

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

    def start(self, *overrides: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
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
        )

    def run(self, *overrides: str, **environment: str) -> Ended:
        process = self.start(*overrides, **environment)
        out, err = process.communicate(timeout=240)
        return Ended(process.returncode, out, err)

    def query(self, sql: str) -> pd.DataFrame:
        return store.read(self.store, sql)


def eventually(condition: Callable[[], object], limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The trial workers of a run; Ray's own processes are its children or grandchildren."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "odllm_agent.worker measure" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found
