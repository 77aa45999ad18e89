"""What Ray is told by its environment, on every machine of a fleet alike."""

import os
from collections.abc import Mapping
from pathlib import Path

CERTIFICATE, KEY, AUTHORITY = "node.pem", "node.key", "ca.pem"
"""The files of a folder with a machine's certificate."""

# Ray runs its workers at niceness 15 unless told otherwise, and what a benchmark measures must not
# yield to everything else on the machine. Its memory monitor would end the agent for the memory of
# the model that is being measured.
_COMMON = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_worker_niceness": "0",
}
# Whatever a shell has of these would be obeyed before what is said here.
_FOREIGN = ("RAY_AUTH_TOKEN", "RAY_ADDRESS", "RAY_NAMESPACE", "RAY_RUNTIME_ENV_HOOK")


def ray_environment(token_file: Path, tls_dir: Path | None = None) -> dict[str, str]:
    """The variables with which Ray enters a fleet; none of them holds the token itself.

    Args:
        token_file: The file with the fleet's token.
        tls_dir: The folder with this machine's certificate, if the fleet encrypts.
    """
    entry = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}
    return _COMMON | entry | (_tls(tls_dir) if tls_dir else {"RAY_USE_TLS": "0"})


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child that runs Ray: this process's own, and what it must know.

    Args:
        variables: What it must know.
    """
    own = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return own | dict(variables)


def _tls(folder: Path) -> dict[str, str]:
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(folder / CERTIFICATE),
        "RAY_TLS_SERVER_KEY": str(folder / KEY),
        "RAY_TLS_CA_CERT": str(folder / AUTHORITY),
    }
