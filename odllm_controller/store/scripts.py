"""The SQL that stands in files of its own beside the code."""

from functools import cache
from importlib import resources


@cache
def script(name: str) -> str:
    """The text of a file of this package, such as `rates.sql`."""
    return (resources.files("odllm_controller.store") / name).read_text("utf-8")
