"""The file with the token of a fleet, without which nobody enters it."""

import os
import re
import shlex
import stat
from pathlib import Path

from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path

# One line of visible ASCII.
_TOKEN = re.compile(rb"[!-~]+")


def checked_token_file(path: Path) -> Path:
    """A token file that there is and that nobody else on this machine can read.

    Args:
        path: Where it should be.

    Returns:
        The same file by its absolute path.

    Raises:
        UsageError: It is missing, empty, no token, or others may read it.
    """
    file = typed_path(path).absolute()
    try:
        mode = file.stat().st_mode
        content = file.read_bytes().strip()
    except OSError as error:
        raise UsageError(
            f"the token file {file} cannot be read: {error.strerror}",
            "copy it from the controller's machine, where `odllm fleet up` says where it is",
        ) from error
    if not content:
        raise UsageError(f"the token file {file} is empty", "copy it again")
    # A byte order mark, or a second byte for each letter, is what some shells' `>` adds.
    if not _TOKEN.fullmatch(content):
        raise UsageError(
            f"the token file {file} holds something else than a token",
            "copy the file itself; what a shell writes with `>` may be encoded otherwise",
        )
    # Windows has no such bits: a file in a user's folder is that user's own there.
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"others on this machine may read the token file {file}",
            shlex.join(["chmod", "600", str(file)]),
        )
    return file
