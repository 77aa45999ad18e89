"""Where the benchmarks keep what took long to make."""

from importlib import metadata
from pathlib import Path

from odllm_agent.models import Cache


def cache_folder() -> Path:
    """A folder for the installed version of llama-cpp-python, beside ODLLM's own cached files."""
    folder = Cache.of_this_device().root / "bench" / metadata.version("llama-cpp-python")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
