"""The fleet's token: whoever has it may run anything on every machine of the fleet."""

import contextlib
import secrets
from pathlib import Path

from odllm_agent.network.fleet_token import checked_token_file
from odllm_controller.head.folder import make_private, write_private

_BYTES = 32


def token_file(folder: Path) -> Path:
    """The file with the token of a fleet folder, made if there is none.

    Args:
        folder: The fleet folder.

    Raises:
        UsageError: Others may read it.
    """
    path = make_private(folder) / "token"
    with contextlib.suppress(FileExistsError):
        write_private(path, secrets.token_hex(_BYTES).encode())
    return checked_token_file(path)
