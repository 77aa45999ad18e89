"""The fleet's model server, beside its head: `odllm-agent serve`."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from odllm_agent.address import Address

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
        Its address.
    """
    address = Address(head.host, head.port + 1)
    command = [
        *(sys.executable, "-m", "odllm_agent", "serve"),
        *("--address", address.host, "--port", str(address.port)),
        *("--token-file", str(token_file)),
        *(("--tls-dir", str(tls_dir)) if tls_dir else ()),
    ]
    with (token_file.parent / "models.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # It outlives this process, and nobody here waits for it: it ends with the head, by its mark.
    _started.append(server)
    return f"{'https' if tls_dir else 'http'}://{address}"
