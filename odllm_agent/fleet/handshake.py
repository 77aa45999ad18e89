"""Asking a head what it runs and which devices it has, before anything is started.

The question is asked by a process of its own, because Ray reads its token once in a process and
may end the one that asks.
"""

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from odllm_agent.errors import DispatchError, JoinRefused
from odllm_agent.host.versions import Versions
from odllm_agent.network.address import Address
from odllm_agent.processes import child

_REACHED_S = 5.0
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """What a head says.

    Attributes:
        versions: What it runs.
        device_ids: The devices that it counts as its own now.
    """

    versions: Versions
    device_ids: tuple[str, ...]


def knock(address: Address, environment: Mapping[str, str]) -> HeadAnswer:
    """Asks a head what it runs.

    Args:
        address: Where it answers.
        environment: What Ray is told; see `ray_environment`.

    Raises:
        DispatchError: Nobody answers there.
        JoinRefused: It does not know this token.
    """
    _reach(address)
    command = [sys.executable, "-m", "odllm_agent.fleet.asking", str(address)]
    done = child.ended(command, _PATIENCE_S, environment=environment)
    if done.status is None:
        raise _unreachable(address, f"no answer within {_PATIENCE_S:.0f} s")
    return _answer(address, done.output, done.errors)


def _reach(address: Address) -> None:
    """Connects once: Ray waits long where nobody is, and a laptop may be away for days."""
    try:
        socket.create_connection((address.host, address.port), _REACHED_S).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error


def _answer(address: Address, stdout: bytes, stderr: bytes) -> HeadAnswer:
    """What the asking process says.

    Args:
        address: Whom it asked.
        stdout: Its output, of which the last line is JSON unless it died.
        stderr: What it and Ray said beside it.
    """
    try:
        told = json.loads(stdout.splitlines()[-1])
        if "refused" in told:
            raise JoinRefused(
                f"the head at {address} refuses the token",
                "copy the token file from the controller's machine again",
            )
        if "unreachable" in told:
            raise _unreachable(address, told["unreachable"])
        return HeadAnswer(Versions(**told["versions"]), tuple(told["device_ids"]))
    except (IndexError, ValueError, TypeError, KeyError) as error:
        lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise _unreachable(address, lines[-1]) from error


def _unreachable(address: Address, why: str) -> DispatchError:
    return DispatchError(
        f"no head answers at {address}: {why}", "is `odllm fleet up` running there?"
    )
