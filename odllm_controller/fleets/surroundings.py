"""What Ray is told by its environment, for each kind of fleet."""

import secrets
from collections.abc import Mapping
from functools import cache

from odllm_controller.fleet import Head

# Ray runs its workers at niceness 15 unless told otherwise, and what a benchmark measures must not
# yield to everything else on the machine. Its memory monitor would end the agent for the memory of
# the model that is being measured.
_COMMON = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_worker_niceness": "0",
}


def of(kind: str) -> Mapping[str, str]:
    """The environment that Ray needs to be imported with.

    Raises:
        DispatchError: There is no head of a fleet on this machine.
    """
    return _COMMON | (Head.load().environment() if kind == "ray" else _own())


@cache
def _own() -> dict[str, str]:
    """Of a Ray that this process starts, with a token that nobody else has."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
