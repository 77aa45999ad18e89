"""How a device takes part in a fleet."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from odllm_agent.doctor.device import NAME_VARIABLE
from odllm_agent.errors import UsageError
from odllm_agent.files.folders import VIRTUAL_VARIABLE
from odllm_agent.fleet import labels
from odllm_agent.network.address import Address
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE, TOKEN_VARIABLE
from odllm_agent.network.ports import Ports
from odllm_agent.network.ray_environment import child_environment, ray_environment

# The least that Ray takes is 75 MiB; a result of ODLLM is a few kilobytes.
_OBJECT_STORE_BYTES = 100 * 2**20
# What Ray takes as a label's name or value.
_WORD = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")


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
        for word in (self.name, *self.labels, *self.labels.values()):
            _check_word(word)
        for label in self.labels:
            _check_label(label)

    def environment(self) -> dict[str, str]:
        """The whole environment of the Ray node, which its agent and its workers inherit."""
        ours = {
            NAME_VARIABLE: self.name,
            TOKEN_VARIABLE: str(self.token_file),
            ADDRESS_VARIABLE: self.model_server,
            VIRTUAL_VARIABLE: self.name if self.virtual else "",
            # Ray starts more than one node on these systems only if it is told to.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
            # Ray would wait for the agent to end by itself, which no agent does.
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
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


def _check_word(word: str) -> None:
    if not _WORD.fullmatch(word):
        raise UsageError(
            f"{word!r} cannot be a name or a label in a fleet",
            "use letters, digits, -, _ and ., at most 63, with neither mark at an end",
        )


def _check_label(label: str) -> None:
    if label.startswith(labels.OURS):
        raise UsageError(
            f"{label!r} is taken: so begin the labels of ODLLM and of Ray", "choose another"
        )
