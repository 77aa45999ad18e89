"""What Ray is told by its environment, for each kind of fleet."""

import secrets
from collections.abc import Mapping
from functools import cache

from odllm_agent.network.ray_environment import COMMON
from odllm_controller.head import Head


def of(head: Head) -> Mapping[str, str]:
    """The environment that Ray needs to be imported with, to reach a head."""
    return COMMON | head.environment()


@cache
def own() -> Mapping[str, str]:
    """That of a Ray that this process starts, with a token that nobody else has."""
    return COMMON | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
