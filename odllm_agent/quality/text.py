"""The texts that quality is computed on."""

import hashlib
from importlib import resources

from odllm_agent.errors import UsageError

_TEXTS = {"reference": "heldout.txt"}


def read_text(name: str) -> str:
    """A text by name.

    Raises:
        UsageError: There is no such text.
    """
    if name not in _TEXTS:
        raise UsageError(f"there is no text named {name!r}", f"known texts: {', '.join(_TEXTS)}")
    folder = resources.files("odllm_agent.models") / "reference"
    return (folder / _TEXTS[name]).read_text(encoding="utf-8")


def text_sha256(name: str) -> str:
    """The checksum of a text's UTF-8 bytes.

    Raises:
        UsageError: There is no such text.
    """
    return hashlib.sha256(read_text(name).encode()).hexdigest()
