"""The fleet folder: what the controller's machine knows of its fleet."""

import os
from pathlib import Path

import platformdirs

from odllm_agent.files.typed_path import typed_path

VARIABLE = "ODLLM_FLEET_DIR"


def fleet_root() -> Path:
    """The folder in `ODLLM_FLEET_DIR`, or the one that this system has for a program's state."""
    chosen = os.environ.get(VARIABLE)
    root = typed_path(chosen) if chosen else platformdirs.user_state_path("odllm") / "fleet"
    return root.absolute()


def make_private(folder: Path) -> Path:
    """Makes a folder into which only this user may look."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file that only this user may read, at no moment anyone else.

    Raises:
        FileExistsError: There is one already.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
