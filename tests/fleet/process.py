"""A process of a host, and what it is there for."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """What a process of a fleet is there for."""

    HEAD = "head"
    RAYLET = "raylet"
    ACTOR = "actor"
    WORKER = "worker"
    MEASURING = "measuring worker"
    AGENT = "agent"
    CONTROLLER = "controller"


_ROLES: Mapping[Role, re.Pattern[str]] = {
    Role.HEAD: re.compile(r"/gcs_server "),
    Role.RAYLET: re.compile(r"/raylet/raylet "),
    Role.ACTOR: re.compile(r"^ray::AgentActor"),
    Role.WORKER: re.compile(r"-m odllm_agent\.worker"),
    Role.MEASURING: re.compile(r"-m odllm_agent\.worker measure"),
    Role.AGENT: re.compile(r"-m odllm_agent join"),
    Role.CONTROLLER: re.compile(r"-m odllm_controller(?! fleet)"),
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a host, as the machine sees it.

    Attributes:
        pid: Its number outside the host.
        command: Its command line, or its title where it has set one.
    """

    pid: int
    command: str

    def is_a(self, role: Role) -> bool:
        """Whether it is there for that."""
        return bool(_ROLES[role].search(self.command))

    def states(self) -> set[str]:
        """The states of its threads, such as `T` for one that is stopped; none once it is gone."""
        return set(_thread_states(self.pid))

    def stands_still(self) -> bool:
        """Whether all of its threads are stopped, which is some time after the signal, or gone."""
        return self.states() <= {"T", "Z"}

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _thread_states(pid: int) -> Iterator[str]:
    for thread in _threads(pid):
        with contextlib.suppress(OSError):
            yield (thread / "stat").read_text().rpartition(")")[2].split()[0]


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
