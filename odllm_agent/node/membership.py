"""How a device takes part in a fleet."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from odllm_agent.address import Address
from odllm_agent.device import NAME_VARIABLE
from odllm_agent.errors import UsageError
from odllm_agent.node import labels
from odllm_agent.place import VIRTUAL_VARIABLE
from odllm_agent.ports import Ports
from odllm_agent.ray_environment import child_environment, ray_environment

SERVER_VARIABLE, TOKEN_VARIABLE = "ODLLM_MODEL_SERVER", "ODLLM_FLEET_TOKEN_FILE"

# The least that Ray takes is 75 MiB; a result of ODLLM is a few kilobytes.
_OBJECT_STORE_BYTES = 100 * 2**20
# What Ray takes as a label's name or value.
_LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")


@dataclass(frozen=True, slots=True)
class Membership:
    """How a device takes part in a fleet.

    Attributes:
        head: Where the fleet's head answers.
        token_file: The file with the fleet's token.
        device_id: The device's id.
        name: What people call it.
        labels: What else it can be selected by.
        ports: The ports that Ray may use; any unless told.
        tls_dir: The folder with this device's certificate, if the fleet encrypts.
        virtual: Whether it is a part of this machine.
        model_server: Where the fleet's model server answers, if it has one.
    """

    head: Address
    token_file: Path
    device_id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Ports | None = None
    tls_dir: Path | None = None
    virtual: bool = False
    model_server: str = ""

    def __post_init__(self) -> None:
        for label, value in {labels.NAME: self.name, **self.labels}.items():
            _check_label(label, value)

    def environment(self) -> dict[str, str]:
        """The whole environment of the Ray node, which its agent and its workers inherit."""
        ours = {
            NAME_VARIABLE: self.name,
            TOKEN_VARIABLE: str(self.token_file),
            SERVER_VARIABLE: self.model_server,
            VIRTUAL_VARIABLE: self.name if self.virtual else "",
            # Ray starts more than one node on these systems only if it is told to.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
        }
        return child_environment(ray_environment(self.token_file, self.tls_dir) | ours)

    def options(self) -> list[str]:
        """The options of `ray start`."""
        ours = {
            labels.DEVICE: self.device_id,
            labels.NAME: self.name,
            labels.VERSION: metadata.version("odllm"),
        }
        told = ",".join(f"{name}={value}" for name, value in {**self.labels, **ours}.items())
        return [
            f"--address={self.head}",
            f"--labels={told}",
            f"--node-name={self.name}",
            f"--object-store-memory={_OBJECT_STORE_BYTES}",
            # An agent takes no CPU in Ray's books: what it measures is none of Ray's business, and
            # Ray would keep an idle worker ready for every CPU.
            "--num-cpus=0",
            "--num-gpus=0",
            "--include-log-monitor=false",
            "--disable-usage-stats",
            *(self.ports.options() if self.ports else ()),
        ]


def _check_label(label: str, value: str) -> None:
    remedy = "use letters, digits, -, _ and ., at most 63, none of the marks at either end"
    for text in (label, value):
        if not _LABEL.fullmatch(text):
            raise UsageError(f"{text!r} cannot be a name or a label in a fleet", remedy)
    if label != labels.NAME and label.startswith(labels.OURS):
        raise UsageError(
            f"labels that begin with {' or '.join(labels.OURS)} are taken", "name it else"
        )
