"""The versions that have to agree between all machines of a fleet."""

import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Self

from odllm_agent.errors import OdllmError


@dataclass(frozen=True, slots=True)
class Versions:
    """What a machine runs.

    Attributes:
        ray: The version of Ray.
        python: The version of Python, with its patch.
        odllm: The version of ODLLM.
    """

    ray: str
    python: str
    odllm: str

    @classmethod
    def here(cls) -> Self:
        """Those of this process.

        Raises:
            OdllmError: Ray is not installed.
        """
        try:
            ray = metadata.version("ray")
        except metadata.PackageNotFoundError as error:
            raise OdllmError("Ray is not installed", 'pip install "odllm[fleet]"') from error
        return cls(ray, platform.python_version(), metadata.version("odllm"))

    def differences(self, head: Self) -> tuple[str, ...]:
        """What differs from a head, each with both versions."""
        names = {"ray": "Ray", "python": "Python", "odllm": "ODLLM"}
        mine, theirs = asdict(self), asdict(head)
        return tuple(
            f"{name} is {mine[key]} here and {theirs[key]} there"
            for key, name in names.items()
            if mine[key] != theirs[key]
        )
