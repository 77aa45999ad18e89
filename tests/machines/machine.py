"""A folder that is a machine: its Python, the agent in it, and a home of its own."""

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from odllm_agent.doctor.device import NAME_VARIABLE
from odllm_agent.files.folders import (
    BUILDS_VARIABLE,
    ROOT_VARIABLE,
    STATE_VARIABLE,
    VIRTUAL_VARIABLE,
)
from tests.machines.processor import Processor

CHECKOUT = Path(__file__).parents[2]

_SEEN = """
import subprocess, sys
if len(sys.argv) > 1:
    from numpy._core._multiarray_umath import __cpu_features__
    print(*(name for name, there in __cpu_features__.items() if there))
else:
    sys.exit(subprocess.run([sys.executable, __file__, "child"]).returncode)
"""
_WITH_CPUINFO = 'mount --bind "$0" /proc/cpuinfo && exec "$@"'


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python for an architecture.

    Attributes:
        path: Its program.
        version: Its major and minor version, such as `3.11`.
        root: Where its libraries are.
    """

    path: Path
    version: str
    root: Path = Path("/")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine.

    Attributes:
        name: What it is called; its device is marked as virtual under this name.
        folder: Where everything of it is.
        processor: What it is emulated as, or `None` for the processor that is here.
    """

    name: str
    folder: Path
    processor: Processor | None

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin/python"

    def lay_out(self, interpreter: Interpreter, packages: Path, wheel: Path) -> None:
        """Makes it anew, as one that has never measured anything.

        Args:
            interpreter: The Python that it runs.
            packages: What the agent depends on, llama-cpp-python apart.
            wheel: llama-cpp-python.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        site = self.folder / f"lib/python{interpreter.version}/site-packages"
        for folder in (site, self.python.parent, self.folder / "home"):
            folder.mkdir(parents=True)
        zipfile.ZipFile(wheel).extractall(site)
        (site / "machine.pth").write_text(f"{packages}\n{CHECKOUT}\n")
        shutil.copytree(_installed(), site / _installed().name)
        (self.folder / "pyvenv.cfg").write_text(f"home = {interpreter.path.parent}\n")
        self._place_python(interpreter)

    def _place_python(self, interpreter: Interpreter) -> None:
        if self.processor is None:
            self.python.symlink_to(interpreter.path)
            return
        self.python.write_text(self.processor.wrapper(interpreter.path, interpreter.root))
        self.python.chmod(0o755)
        self._cpuinfo.write_text(self.processor.cpuinfo(os.cpu_count() or 1))

    @property
    def _builds(self) -> Path:
        return self.folder / "builds"

    @property
    def variant(self) -> str:
        """The part of llama.cpp that computes on it, or `""` before anything was tried there."""
        try:
            kept = json.loads((self._builds / "cpu-variant.json").read_text())
        except FileNotFoundError:
            return ""
        return Path(kept["library"]).stem.removeprefix("libggml-cpu-")

    @property
    def _cpuinfo(self) -> Path:
        return self.folder / "cpuinfo"

    def agent(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of the agent on it."""
        return self.run("-m", "odllm_agent", *words)

    def features(self) -> frozenset[str]:
        """What NumPy finds in its processor, asked in a process that its Python has started."""
        script = self.folder / "seen.py"
        script.write_text(_SEEN)
        return frozenset(self.run(str(script)).stdout.split())

    def wrongs(self) -> tuple[str, ...]:
        """What of the processor and of what uses it is not as it must be, in words."""
        if self.processor is None:
            return ()
        found, variant = self.features(), self.variant
        missing, extra = self.processor.has - found, self.processor.lacks & found
        other = f"llama.cpp computes with {variant}, not {self.processor.variant}"
        return (
            *((other,) if variant != self.processor.variant else ()),
            *(f"its processor has no {name}" for name in sorted(missing)),
            *(f"its processor has {name}" for name in sorted(extra)),
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs its Python, with nothing of this process's surroundings."""
        return subprocess.run(
            [*self._under(), str(self.python), *words],
            cwd=self.folder,
            env=self._surroundings(),
            capture_output=True,
            text=True,
            check=False,
        )

    def _under(self) -> tuple[str, ...]:
        if self.processor is None:
            return ()
        return ("unshare", "--mount", "sh", "-c", _WITH_CPUINFO, str(self._cpuinfo))

    def _surroundings(self) -> Mapping[str, str]:
        # A variable such as OPENBLAS_CORETYPE would name the kernels of the processor that is here.
        return {
            "PATH": os.defpath,
            "HOME": str(self.folder / "home"),
            NAME_VARIABLE: self.name,
            VIRTUAL_VARIABLE: self.name,
            ROOT_VARIABLE: str(self.folder / "cache"),
            STATE_VARIABLE: str(self.folder / "state"),
            BUILDS_VARIABLE: str(self._builds),
        }


def _installed() -> Path:
    """What tells of ODLLM as an installed package; the code itself is that of the checkout.

    In a checkout from which it was installed there lies an egg-info as well, which tells less.
    """
    for found in metadata.distributions(name="odllm"):
        folder = Path(str(found.locate_file(f"odllm-{found.version}.dist-info")))
        if folder.is_dir():
            return folder
    raise SystemExit("odllm is not installed in this Python: make installs it")
