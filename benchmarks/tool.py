"""llama.cpp's own tools, built on the libraries that Python loads."""

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from benchmarks.folder import cache_folder
from benchmarks.source import llama_cpp_source
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.errors import EngineError

_RECIPE = Path(__file__).parent
_FOLDERS: Mapping[str, str] = {"llama-bench": "llama-bench", "llama-perplexity": "perplexity"}


def build(name: str) -> Path:
    """One of llama.cpp's tools, ready to run.

    The first build takes under a minute. A later one only checks, so that a tool follows when
    llama-cpp-python was installed anew or elsewhere.

    Args:
        name: `llama-bench` or `llama-perplexity`.

    Raises:
        EngineError: There is no cmake or compiler, or the tool cannot be built.
    """
    if shutil.which("cmake") is None:
        raise EngineError(
            f"{name} cannot be built: there is no cmake",
            "install it: apt install cmake, brew install cmake, or pip install cmake",
        )
    folder = cache_folder() / f"{name}-{_checkout()}"
    for command in build_commands(name, llama_cpp_source(), _packages(), folder):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        if done.returncode:
            told = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise EngineError(
                f"{name} cannot be built; `{' '.join(command)}` said:\n{told}",
                "it needs a C++ compiler, and a llama-cpp-python that pip compiled here",
            )
    return next(path for path in sorted(folder.rglob(f"bin/**/{name}*")) if path.is_file())


def context_options(settings: LlamaCppSettings) -> dict[str, object]:
    """The options, alike in all of the tools, that give one the context of ODLLM's settings."""
    return {
        "--threads": settings.threads,
        "--batch-size": settings.batch_tokens,
        "--ubatch-size": settings.ubatch_tokens,
        "--flash-attn": settings.flash_attention,
        "--cache-type-k": settings.kv_type_k,
        "--cache-type-v": settings.kv_type_v,
    }


def build_commands(name: str, source: Path, packages: Path, folder: Path) -> list[list[str]]:
    """The commands that build a tool.

    Args:
        name: The tool.
        source: llama.cpp's source.
        packages: The folder that llama-cpp-python is installed in.
        folder: Where to build.
    """
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "SOURCE": source,
        "PACKAGES": packages,
        "TOOL": name,
        "FOLDER": _FOLDERS[name],
    }
    return [
        ["cmake", "-S", str(_RECIPE), "-B", str(folder)]
        + [f"-D{option}={value}" for option, value in options.items()],
        ["cmake", "--build", str(folder), "--config", "Release"],
    ]


def _checkout() -> str:
    """Tells checkouts apart: cmake refuses a build folder that another one made."""
    return hashlib.sha256(str(_RECIPE).encode()).hexdigest()[:8]


def _packages() -> Path:
    return Path(str(metadata.distribution("llama-cpp-python").locate_file("")))
