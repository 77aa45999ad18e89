"""A host and a port, as people write them."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from odllm_agent.errors import UsageError

RAY_PORT = 6379
"""Where a head answers unless told otherwise; Ray's own default."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a head answers.

    Attributes:
        host: A name or an IP address.
        port: A TCP port.
    """

    host: str
    port: int = RAY_PORT

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address in `HOST` or `HOST:PORT`; an IPv6 address with a port has brackets.

        Raises:
            UsageError: It is neither.
        """
        try:
            return cls(str(ip_address(text)))
        except ValueError:
            pass
        try:
            found = urlsplit(f"//{text}")
            host, port = found.hostname, found.port
        except ValueError:
            host = port = None
        if not host or found.netloc != text or "@" in text:
            raise UsageError(f"{text!r} is no address", "write HOST or HOST:PORT")
        return cls(host, port or RAY_PORT)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
