"""The fleet's model server, beside its head: `odllm-agent serve`."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from odllm_agent.errors import DispatchError
from odllm_agent.network.address import Address
from odllm_agent.processes import background

_STARTING_S = 120.0
# With this it begins to tell its address.
_SERVING = b"serving "
_started: list[subprocess.Popen[bytes]] = []


def start(
    head: Address, token_file: Path, tls_dir: Path | None, environment: Mapping[str, str]
) -> str:
    """Starts the server in the background, at the head's address and the next port.

    Args:
        head: Where the head answers.
        token_file: The file with the fleet's token.
        tls_dir: The folder with the head's certificate, if the fleet encrypts.
        environment: Its environment, with the mark by which it is ended with the head.

    Returns:
        Its address, at which it answers.

    Raises:
        DispatchError: It does not start.
    """
    address = Address(head.host, head.port + 1)
    command = [
        *(sys.executable, "-m", "odllm_agent", "serve"),
        *("--address", address.host, "--port", str(address.port)),
        *("--token-file", str(token_file)),
        *(("--tls-dir", str(tls_dir)) if tls_dir else ()),
    ]
    log = token_file.parent / "models.log"
    server = background.start(command, log, environment)
    # A laptop may ask as soon as it has joined.
    if not background.has_said(server, log, _SERVING, _STARTING_S):
        server.kill()
        # An error of ours is two lines.
        last = background.last_words(log, 2) or "it says nothing"
        raise DispatchError(f"the fleet's model server does not start: {last}", f"see {log}")
    # It outlives this process, and nobody here waits for it: it ends with the head, by its mark.
    _started.append(server)
    return f"{'https' if tls_dir else 'http'}://{address}"
