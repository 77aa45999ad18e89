"""The versions that have to agree between all machines of a fleet."""

import platform
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Self

from odllm_agent.errors import OdllmError

_NAMES = {"ray": "Ray", "python": "Python", "odllm": "ODLLM"}


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

    def differences(self, there: Self) -> tuple[str, ...]:
        """What does not agree with another machine, each with both versions."""
        ours, theirs = self._compared(), there._compared()
        return tuple(
            f"{name} is {getattr(self, key)} here and {getattr(there, key)} there"
            for key, name in _NAMES.items()
            if ours[key] != theirs[key]
        )

    @property
    def needed(self) -> str:
        """What another machine has to have to agree with this one."""
        return ", ".join(f"{name} {self._compared()[key]}" for key, name in _NAMES.items())

    def _compared(self) -> dict[str, str]:
        """The versions without Python's patch: of one minor version all run the same bytecode.

        Systems bring patches of their own, and what is timed are the engines' calls.
        """
        minor = ".".join(self.python.split(".")[:2])
        return asdict(replace(self, python=minor))
