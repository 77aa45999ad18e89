"""What Ray is told by its environment, on every machine of a fleet alike."""

import os
from collections.abc import Mapping
from pathlib import Path

CERTIFICATE, KEY, AUTHORITY = "node.pem", "node.key", "ca.pem"
"""The files of a folder with a machine's certificate."""

# Ray runs its workers at niceness 15 unless told otherwise, and what a benchmark measures must not
# yield to everything else on the machine. Its memory monitor would end the agent for the memory of
# the model that is being measured. It would have every machine run the same patch of Python, and
# what has to agree is said in `versions`. A worker that it starts beforehand for a driver would lie
# idle beside what is measured, with 90 MB.
COMMON = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_niceness": "0",
}
"""What every Ray of ODLLM is told, whoever may enter it."""

FOREIGN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_NAMESPACE", "RAY_USE_TLS")
"""What a shell may have set, and what Ray would obey before what it is told here."""


def ray_environment(token_file: Path, tls_dir: Path | None = None) -> dict[str, str]:
    """The variables with which Ray enters a fleet; none of them holds the token itself.

    Args:
        token_file: The file with the fleet's token.
        tls_dir: The folder with this machine's certificate, if the fleet encrypts.
    """
    entry = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}
    tls = {"RAY_USE_TLS": "0"}
    if tls_dir:
        tls = {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(tls_dir / CERTIFICATE),
            "RAY_TLS_SERVER_KEY": str(tls_dir / KEY),
            "RAY_TLS_CA_CERT": str(tls_dir / AUTHORITY),
        }
    return COMMON | entry | tls


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child that runs Ray: this process's own, and what it must know.

    Args:
        variables: What it must know.
    """
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return own | dict(variables)


def surround(variables: Mapping[str, str]) -> None:
    """Gives this process the environment that Ray is to be imported with.

    Args:
        variables: What Ray must know.
    """
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(variables)
