"""The process that asks a head what it runs; see `odllm_agent.fleet.handshake`."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from odllm_agent.fleet import labels
from odllm_agent.host.versions import Versions
from odllm_agent.processes.child import end_with_parent

_ANSWER_S = 10.0
_ALIVE = 0  # GcsNodeInfo.GcsNodeState in Ray's gcs.proto


def ask(address: str) -> dict[str, object]:
    """What a head says, as `knock` expects it."""
    # Ray takes its environment as it is imported, and what Ray said is read without it.
    import ray._raylet as raylet  # noqa: PLC0415
    from ray.exceptions import AuthenticationError, RayError  # noqa: PLC0415

    try:
        # Nothing public tells what a head runs; `ray start` asks in the same way.
        client: Any = raylet.GcsClient(address=address)  # type: ignore[attr-defined]
        metadata = client.internal_kv_get(
            b"CLUSTER_METADATA", namespace=b"cluster", timeout=_ANSWER_S
        )
        nodes = client.get_all_node_info(timeout=_ANSWER_S).values()
    except AuthenticationError:
        return {"refused": "the token"}
    except RayError as error:
        return {"unreachable": str(error)}
    alive = [dict(node.labels) for node in nodes if node.state == _ALIVE]
    return told(json.loads(metadata or b"{}"), alive)


def told(metadata: Mapping[str, str], alive: Sequence[Mapping[str, str]]) -> dict[str, object]:
    """The answer in what Ray says.

    Args:
        metadata: What the head wrote down about itself.
        alive: The labels of each machine that it counts as its own.
    """
    head = next((each for each in alive if each.get(labels.ROLE) == labels.HEAD), None)
    if head is None or not metadata:
        return {"unreachable": "a Ray answers that is still starting, or that ODLLM did not start"}
    versions = Versions(metadata["ray_version"], metadata["python_version"], head[labels.VERSION])
    device_ids = [each[labels.DEVICE] for each in alive if labels.DEVICE in each]
    return {"versions": asdict(versions), "device_ids": device_ids}


if __name__ == "__main__":
    end_with_parent()
    print(json.dumps(ask(sys.argv[1])))
