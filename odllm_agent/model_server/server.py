"""Running the model server on an address."""

import socket
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from odllm_agent.errors import UsageError
from odllm_agent.network.ray_environment import CERTIFICATE, KEY

_END_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the server listens.

    Attributes:
        listening: The open socket.
        url: What agents are told.
    """

    listening: socket.socket
    url: str


def listen(address: str, port: int, *, tls: bool) -> ListenAddress:
    """Takes an address and a port.

    Args:
        address: Of this device.
        port: The port, or 0 for any that is free.
        tls: Whether the server will speak TLS there.

    Raises:
        UsageError: They cannot be had.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listening = socket.create_server((address, port), family=family)
    except OSError as error:
        raise UsageError(
            f"the model server cannot listen on {address}, port {port}: {error.strerror or error}",
            "name an address of this machine and a free port",
        ) from error
    host = f"[{address}]" if family == socket.AF_INET6 else address
    return ListenAddress(
        listening, f"{'https' if tls else 'http'}://{host}:{listening.getsockname()[1]}"
    )


def server(application: ASGIApp, tls: Path | None) -> uvicorn.Server:
    """A server of the application that has still to be run.

    Args:
        application: What answers.
        tls: The folder with its certificate and private key, or `None` for HTTP.

    Raises:
        UsageError: The folder has no certificate and key.
    """
    if tls and not ((tls / CERTIFICATE).is_file() and (tls / KEY).is_file()):
        raise UsageError(
            f"{tls} has no {CERTIFICATE} and {KEY}",
            "name the folder that `odllm fleet up --tls` made",
        )
    config = uvicorn.Config(
        application,
        ssl_certfile=tls / CERTIFICATE if tls else None,
        ssl_keyfile=tls / KEY if tls else None,
        # Who asks is who is connected, whatever a header says.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_END_AFTER_S,
    )
    return uvicorn.Server(config)
