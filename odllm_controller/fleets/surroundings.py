"""What Ray is told by its environment, for each kind of fleet."""

import secrets
from collections.abc import Mapping
from functools import cache

from odllm_agent.ray_environment import COMMON
from odllm_controller.fleet import Head


def of(head: Head | None) -> Mapping[str, str]:
    """The environment that Ray needs to be imported with.

    Args:
        head: The head of the fleet, or `None` of a Ray that this process starts.
    """
    return COMMON | (head.environment() if head else _own())


@cache
def _own() -> dict[str, str]:
    """Of a Ray that this process starts, with a token that nobody else has."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
