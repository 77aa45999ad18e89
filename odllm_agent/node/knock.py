"""Asking a head what it runs and which devices it has, before anything is started.

The question is asked by a process of its own, because Ray reads its token once in a process and
may end the one that asks.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from odllm_agent.address import Address
from odllm_agent.errors import DispatchError, JoinRefused
from odllm_agent.versions import Versions

DEVICE_LABEL, VERSION_LABEL = "odllm-device", "odllm-version"
ROLE_LABEL, HEAD_ROLE = "odllm-role", "head"

_REACHED_S = 5.0
_ANSWER_S = 10.0
_PATIENCE_S = 30.0
_UNKNOWN = "unknown"
_ALIVE = 0  # GcsNodeInfo.GcsNodeState in Ray's gcs.proto


@dataclass(frozen=True, slots=True)
class Answer:
    """What a head says.

    Attributes:
        versions: What it runs.
        device_ids: The devices that it counts as its own now.
    """

    versions: Versions
    device_ids: tuple[str, ...]


def knock(address: Address, environment: Mapping[str, str]) -> Answer:
    """Asks a head what it runs.

    Args:
        address: Where it answers.
        environment: What Ray is told; see `ray_environment`.

    Raises:
        DispatchError: Nobody answers there.
        JoinRefused: It does not know this token.
    """
    _reach(address)
    command = [sys.executable, "-m", __name__, str(address)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise _unreachable(address, f"no answer within {_PATIENCE_S:.0f} s") from late
    return _answer(address, done.stdout, done.stderr)


def _reach(address: Address) -> None:
    """Connects once: Ray waits long where nobody is, and a laptop may be away for days."""
    try:
        socket.create_connection((address.host, address.port), _REACHED_S).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error


def _answer(address: Address, stdout: bytes, stderr: bytes) -> Answer:
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
        return Answer(Versions(**told["versions"]), tuple(told["device_ids"]))
    except (IndexError, ValueError, TypeError, KeyError) as error:
        lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise _unreachable(address, lines[-1]) from error


def _unreachable(address: Address, why: str) -> DispatchError:
    return DispatchError(
        f"no head answers at {address}: {why}", "is `odllm fleet up` running there?"
    )


def _ask(address: str) -> dict[str, object]:
    # Only here: the process that waits for the answer stays small without Ray.
    from ray._raylet import GcsClient  # noqa: PLC0415 - nothing public tells this
    from ray.exceptions import AuthenticationError, RayError  # noqa: PLC0415

    try:
        client = GcsClient(address=address)
        metadata = client.internal_kv_get(
            b"CLUSTER_METADATA", namespace=b"cluster", timeout=_ANSWER_S
        )
        nodes = client.get_all_node_info(timeout=_ANSWER_S).values()
    except AuthenticationError:
        return {"refused": "the token"}
    except RayError as error:
        return {"unreachable": str(error)}
    alive = [dict(node.labels) for node in nodes if node.state == _ALIVE]
    return _told(json.loads(metadata or b"{}"), alive)


def _told(metadata: Mapping[str, str], alive: list[dict[str, str]]) -> dict[str, object]:
    head = next((each for each in alive if each.get(ROLE_LABEL) == HEAD_ROLE), {})
    versions = Versions(
        ray=metadata.get("ray_version", _UNKNOWN),
        python=metadata.get("python_version", _UNKNOWN),
        odllm=head.get(VERSION_LABEL, _UNKNOWN),
    )
    device_ids = [each[DEVICE_LABEL] for each in alive if DEVICE_LABEL in each]
    return {"versions": asdict(versions), "device_ids": device_ids}


if __name__ == "__main__":
    print(json.dumps(_ask(sys.argv[1])))
