"""The libraries of an engine, told from their files alone: none is loaded."""

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from odllm_agent.files.checksum import listed_sha256

# What compilers write into the comment section of what they make.
_COMPILER = re.compile(rb"(GCC: \([^)\0]{1,80}\) [\d.]+|clang version [\w.+~-]+)")
# Of `-frecord-gcc-switches` and of debugging information.
_FLAGS = re.compile(rb"GNU C[+\d]{1,4} [\d.]+ (-[\x20-\x7e]+)\0")

_PATTERNS = ("*.so", "*.so.*", "*.dylib", "*.dll", "*.pyd")
# By engine: the packages whose libraries compute, and of those the ones that matter.
_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "llama_cpp": {"llama_cpp": r"(lib)?(ggml|llama)"},
    "openvino": {
        "openvino": r"(lib)?openvino(\.|_intel_cpu|_intel_gpu|_ir_|_gguf)",
        "openvino_genai": r"(lib)?openvino_genai",
    },
}


def libraries(engine: str) -> tuple[Path, ...]:
    """The libraries that compute in an engine, sorted; none where it is not installed.

    Args:
        engine: The engine's name.
    """
    return tuple(sorted(set(_found(_PACKAGES[engine])), key=lambda path: (path.name, path)))


def compiler(paths: Sequence[Path]) -> str:
    """What compiled them, as they say, or `""`."""
    return _first(paths, _COMPILER)


def flags(paths: Sequence[Path]) -> str:
    """The flags that they were compiled with, as they say, or `""`."""
    return _first(paths, _FLAGS)


def checksum(paths: Sequence[Path]) -> str:
    """The SHA-256 that stands for them and their names."""
    return listed_sha256(paths)


def _found(packages: Mapping[str, str]) -> Iterator[Path]:
    for name, wanted in packages.items():
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            # scikit-build puts what is loaded at run time beside the package instead of into it.
            folders = (Path(folder), Path(folder, "lib"), Path(folder, "libs"))
            for each in (*folders, Path(folder).parent / "bin"):
                paths = (path for pattern in _PATTERNS for path in each.glob(pattern))
                yield from (
                    path for path in paths if re.match(wanted, path.name) and path.is_file()
                )


def _first(paths: Sequence[Path], pattern: re.Pattern[bytes]) -> str:
    for path in paths:
        found = pattern.search(path.read_bytes())
        if found:
            return " ".join(found[1].decode("utf-8", "replace").split())
    return ""
