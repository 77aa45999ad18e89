"""What a simulated device is said to be."""

import hashlib
import platform
import random
from dataclasses import dataclass
from importlib import metadata

from odllm_agent.contract import Device, DeviceKind, MeterReport, Method
from odllm_agent.engines import simulated
from odllm_agent.engines.simulated import Pace

ENGINE = "simulated"
REASON = "the device is simulated: there is nothing to measure on it"
"""Why a simulated device has no energy, no quality, and no load of its own."""

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Laptop:
    """What a simulated device is said to be, drawn from a seed.

    Attributes:
        number: Its number in its fleet, from 0.
        seed: What the fleet is drawn from.
        cores: Its cores.
        ram_bytes: Its memory.
        pace: What it does at most.
    """

    number: int
    seed: int
    cores: int
    ram_bytes: int
    pace: Pace

    @classmethod
    def of(cls, number: int, seed: int = 0) -> "Laptop":
        """The laptop of a number in the fleet of a seed."""
        chance = random.Random(f"laptop:{seed}:{number}")  # noqa: S311 - not a secret
        return cls(
            number=number,
            seed=seed,
            cores=chance.choice((4, 6, 8, 10, 12, 16)),
            ram_bytes=chance.choice((8, 16, 32, 64)) * _GIB,
            pace=Pace(
                read_bytes_per_s=chance.uniform(20e9, 120e9),
                operations_per_core_s=chance.uniform(20e9, 80e9),
                disk_bytes_per_s=chance.uniform(0.5e9, 5e9),
            ),
        )

    @property
    def id(self) -> str:
        """A hash that no real device has."""
        return hashlib.sha256(f"odllm:{ENGINE}:{self.seed}:{self.number}".encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"sim-{self.number:03}"

    def describe(self) -> Device:
        """The device as a controller is told of it."""
        return Device(
            id=self.id,
            name=self.name,
            kind=DeviceKind.SIMULATED,
            system=f"{ENGINE} on {platform.system()}",
            cpu=f"{ENGINE}, {self.pace.read_bytes_per_s / 1e9:.0f} GB/s",
            physical_cores=self.cores,
            logical_cores=self.cores,
            ram_bytes=self.ram_bytes,
            python_version=platform.python_version(),
            odllm_version=metadata.version("odllm"),
            engines={ENGINE: simulated.VERSION},
            meters=(MeterReport(ENGINE, (), Method.UNAVAILABLE, REASON),),
        )
