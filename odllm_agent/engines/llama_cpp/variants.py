"""The CPU backends of a llama.cpp that was built for many processors, one of which is loaded.

Built with GGML_CPU_ALL_VARIANTS, llama.cpp comes with a library for each generation of processors
and nothing else that computes. Each tells by a score whether this processor has what it needs, and
how much it would use of it.
"""

import ctypes
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

VARIABLE = "ODLLM_CPU_VARIANT"
"""The library to load, for whoever wants another one than the best that was found sound here."""

FOUND_VARIABLE = "ODLLM_CPU_VARIANT_FOUND"
"""The library that this process, or the one that started it, has found sound."""

_CHOSEN = "cpu-variant.json"
_PATTERNS = ("libggml-cpu-*.so", "libggml-cpu-*.dylib", "ggml-cpu-*.dll")


@cache
def in_order(libraries: Path) -> tuple[Path, ...]:
    """The libraries that this processor can run, those that use most of it first.

    Args:
        libraries: The folder of llama.cpp's libraries.

    Returns:
        Nothing where llama.cpp was built for one processor, as it is unless told otherwise.
    """
    scores = {path: _score(path) for path in _found(libraries)}
    usable = [path for path, score in scores.items() if score > 0]
    return tuple(sorted(usable, key=lambda path: (-scores[path], path.name)))


def chosen(libraries: Path) -> Path | None:
    """The library to load: the one that was told or found sound, or else the best by its score.

    Args:
        libraries: As of `in_order`.

    Returns:
        `None` where llama.cpp was built for one processor, or for none like this.
    """
    told = os.environ.get(VARIABLE)
    if told:
        return Path(told)
    found = _found(libraries)
    if not found:
        return None
    sound = Path(os.environ.get(FOUND_VARIABLE, ""))
    if sound in found:
        return sound
    kept = _kept()
    # Asking all of them for their scores loads all of them.
    return kept if kept in found else next(iter(in_order(libraries)), None)


def is_told() -> bool:
    """Whether the library to load was named by whoever started this process."""
    return bool(os.environ.get(VARIABLE))


def choose(variant: Path) -> None:
    """Keeps which library is to be loaded on this processor from now on.

    Raises:
        OSError: It cannot be written.
    """
    path = _chosen_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"processor": _processor(), "library": str(variant)}))


def _kept() -> Path | None:
    try:
        kept = json.loads(_chosen_path().read_text())
        return Path(kept["library"]) if kept["processor"] == _processor() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


# A worker without a choice of backends starts sooner, and is smaller, without these modules.
def _chosen_path() -> Path:
    from odllm_agent.files.folders import builds_root  # noqa: PLC0415 - as above

    return builds_root() / _CHOSEN


def _processor() -> str:
    from odllm_agent.host.processor import processor  # noqa: PLC0415 - as above

    return processor()


def _found(libraries: Path) -> Sequence[Path]:
    # scikit-build puts what is loaded at run time beside the package instead of into it.
    folders = (libraries, libraries.parent.parent / "bin")
    return [path for folder in folders for each in _PATTERNS for path in sorted(folder.glob(each))]


def _score(path: Path) -> int:
    try:
        score = ctypes.CDLL(str(path)).ggml_backend_score
    except (OSError, AttributeError):
        return 0
    score.restype = ctypes.c_int
    return int(score())
