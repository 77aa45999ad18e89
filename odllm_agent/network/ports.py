"""The TCP ports that Ray may use on a machine with a firewall."""

import re
from dataclasses import dataclass
from typing import Self

from odllm_agent.errors import UsageError

# The servers that every node has, in the order in which they get their ports. The first two are
# asked by other machines, and so are the workers; the others only by their own node.
_SERVERS = (
    "node-manager-port",
    "object-manager-port",
    "runtime-env-agent-port",
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "metrics-export-port",
)
# An agent, the one that follows it when it was lost, and as many again for Ray's own.
_LEAST_WORKERS = 4
_LEAST = len(_SERVERS) + _LEAST_WORKERS


@dataclass(frozen=True, slots=True)
class Ports:
    """A range of ports.

    Attributes:
        first: The lowest.
        last: The highest.
    """

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The range in `A-B`.

        Raises:
            UsageError: It is no range, or too small.
        """
        found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
        first, last = map(int, found.groups()) if found else (0, 0)
        if not 1024 <= first <= last <= 65535:
            raise UsageError(f"{text!r} is no range of ports", "write A-B, both of 1024 to 65535")
        if last - first + 1 < _LEAST:
            raise UsageError(f"{text!r} is too few ports", f"Ray needs {_LEAST} at the least")
        return cls(first, last)

    def options(self) -> list[str]:
        """The options of `ray start` that keep it to these ports."""
        servers = [f"--{name}={self.first + place}" for place, name in enumerate(_SERVERS)]
        first_worker = self.first + len(_SERVERS)
        return [*servers, f"--min-worker-port={first_worker}", f"--max-worker-port={self.last}"]
