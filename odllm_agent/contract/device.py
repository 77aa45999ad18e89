"""What a device is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from odllm_agent.contract.build import EngineBuild


class DeviceKind(StrEnum):
    """Whether a device is a machine, a slice of one, or a formula."""

    REAL = "real"
    VIRTUAL = "virtual"
    SIMULATED = "simulated"


class Method(StrEnum):
    """How an energy figure was obtained."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class MissingDomain:
    """A domain that a power meter would read and cannot.

    Attributes:
        domain: The domain.
        reason: Why it is not read.
        remedy: How to allow it, or `""` where nothing does.
    """

    domain: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """What a power meter can read on a device.

    Attributes:
        name: The meter's name.
        domains: What it reads; empty where it reads nothing.
        method: How its figures are obtained.
        reason: Why it reads nothing, or `""`.
        remedy: How to allow it, or `""`.
        means: What its figures are made of, such as `energy counter` or `integrated power`.
        step_j: The smallest step of its figures, or `None` where it is not known.
        period_s: The time between two updates of its sensor, or `None` where it reads nothing.
        read_s: What one reading of all its domains cost when it was opened, or `None`.
        missing: Domains of its kind that this device does not let it read.
    """

    name: str
    domains: tuple[str, ...]
    method: Method
    reason: str = ""
    remedy: str = ""
    means: str = ""
    step_j: float | None = None
    period_s: float | None = None
    read_s: float | None = None
    missing: tuple[MissingDomain, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """What a device is.

    Attributes:
        id: A hash that stays the same across restarts.
        name: What people call it.
        kind: A machine, a slice of one, or a formula.
        system: The operating system and its version.
        cpu: The processor's name.
        physical_cores: Cores, hyper-threads not counted.
        logical_cores: Hardware threads that this process may use.
        ram_bytes: Memory in all.
        python_version: The agent's Python.
        odllm_version: The agent's own version.
        engines: Version of every engine that the agent has, by name.
        meters: What each power meter can read.
        core_types: Cores of each type, hyper-threads not counted; empty where all are alike or the
            system does not tell.
        builds: How each engine was built, and what of it does not work here, by name.
        quota_cores: Seconds of processor time per second that this process may use, by its control
            groups; `None` where there is no such quota.
        online_cpus: Hardware threads that are switched on, where the system tells.
        present_cpus: Hardware threads, those that are switched off among them, where the system
            tells.
    """

    id: str
    name: str
    kind: DeviceKind
    system: str
    cpu: str
    physical_cores: int
    logical_cores: int
    ram_bytes: int
    python_version: str
    odllm_version: str
    engines: Mapping[str, str]
    meters: tuple[MeterReport, ...]
    core_types: Mapping[str, int] = field(default_factory=dict)
    builds: Mapping[str, EngineBuild] = field(default_factory=dict)
    quota_cores: float | None = None
    online_cpus: int | None = None
    present_cpus: int | None = None

    @property
    def label(self) -> str:
        """What people are told: its name, and what it is if it is no machine."""
        return self.name if self.kind is DeviceKind.REAL else f"{self.name} ({self.kind})"

    def within_quota(self, cores: int) -> int:
        """As many of so many cores as the quota can keep busy all the time; one at least.

        Of a quota of 1.5 cores that is one: a second thread would stop both of them, for a part of
        each period, whenever the quota is used up.
        """
        return cores if self.quota_cores is None else min(cores, max(1, int(self.quota_cores)))
