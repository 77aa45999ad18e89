"""A path as somebody typed it, on a command line, in a config or in a variable."""

import os
from pathlib import Path

STANDARD = Path("-")
"""What is typed for the standard input or output."""


def typed_path(text: str | Path) -> Path:
    """The path; `~` is the home folder, also where no shell has seen to that."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - what is nobody's home stays as it is
