"""A fleet of hosts, driven by the commands that people type."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import libfaketime

from tests import family
from tests.fleet.host import Host
from tests.fleet.network import Network
from tests.fleet.process import Role
from tests.fleet.waiting import wait_until

_TYPES = ("Q8_0", "Q4_0", "Q2_K")
_SWEEP = (
    "+experiment=smoke",
    "fleet=ray",
    "quality=none",
    "power=none",
    "ceilings=never",
    f"quantizations=[{','.join(_TYPES)}]",
    "rounds=3",
    "repeats.at_most=3",
    "engines.llama_cpp.threads=1",
)
_ASK = """
from odllm_agent.network.address import Address
from odllm_agent.fleet.handshake import knock
from odllm_agent.network.ray_environment import child_environment
from odllm_controller.head import Head
head = Head.load()
answer = knock(Address.parse(head.address), child_environment(head.environment()))
print(*answer.device_ids)
"""
_CLOCK = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


class Fleet:
    """A desk with the head and the controller, and devices that join it.

    Args:
        network: What all of them are connected to.
        folder: Where their folders are made.
        devices: The devices' names.
    """

    def __init__(self, network: Network, folder: Path, devices: Sequence[str]) -> None:
        self.desk = network.host("desk", folder / "desk")
        self.devices = tuple(network.host(name, folder / name) for name in devices)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All hosts."""
        return (self.desk, *self.devices)

    @property
    def n_trials(self) -> int:
        """How many trials a sweep has."""
        return len(self.devices) * len(_TYPES)

    @property
    def token(self) -> Path:
        """The file with the fleet's token."""
        return self.desk.folder / "fleet" / "token"

    def up(self) -> None:
        """Starts the head, and waits until it is there."""
        self.desk.run(*_odllm("fleet", "up", "--address", self.desk.address))

    def join(self, device: Host, clock: bool = False) -> None:
        """Lets a device join, and waits until it says that it has.

        Args:
            device: Which.
            clock: Whether its wall clock is to be set by `step_clock`.
        """
        token = device.home / "fleet.token"
        shutil.copyfile(self.token, token)
        token.chmod(0o600)
        command = [sys.executable, "-m", "odllm_agent", "join", self.desk.address]
        driven = _driven_clock(device) if clock else []
        begun = device.start(*driven, *command, "--token-file", str(token), "--name", device.name)
        wait_until(
            lambda: bool(re.search(r"\bjoined\b", device.said(begun))),
            family.PATIENCE_S,
            f"{device.name} joins",
        )

    def device_ids(self) -> set[str]:
        """The ids of the devices that are in the fleet, as the head sees it."""
        return set(self.desk.run(sys.executable, "-c", _ASK).split())

    def has_all(self) -> bool:
        """Whether every device is in the fleet, as the head sees it."""
        return len(self.device_ids()) == len(self.devices)

    def leave(self, device: Host) -> None:
        """Lets a device leave, and waits until nothing of the fleet runs on it."""
        for agent in device.processes(Role.AGENT):
            agent.signal(signal.SIGTERM)
        wait_until(lambda: not device.processes(), family.PATIENCE_S, f"{device.name} leaves")

    def down(self) -> None:
        """Ends the head."""
        self.desk.run(*_odllm("fleet", "down"))

    def sweep(self, store: Path, *overrides: str) -> subprocess.Popen[str]:
        """Starts a sweep over all devices; the same command goes on with it."""
        return self.desk.start(*_odllm(*_SWEEP, f"store.path={store}", *overrides))


def step_clock(device: Host, by_s: int) -> None:
    """Sets the wall clock of a device that joined with a clock; its other clocks go on."""
    _clock_file(device).write_text(f"{by_s:+d}\n")


def _driven_clock(device: Host) -> list[str]:
    step_clock(device, 0)
    return [
        "env",
        f"LD_PRELOAD={_CLOCK}",
        f"FAKETIME_TIMESTAMP_FILE={_clock_file(device)}",
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]


def _clock_file(device: Host) -> Path:
    return device.folder / "clock"


def _odllm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "odllm_controller", *arguments]
