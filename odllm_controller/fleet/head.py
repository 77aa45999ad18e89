"""What is known of the head of the fleet on this machine."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import platformdirs

from odllm_agent.errors import DispatchError

FOLDER_VARIABLE = "ODLLM_FLEET_DIR"


@dataclass(frozen=True, slots=True)
class Head:
    """A head that was started on this machine.

    Attributes:
        folder: The fleet folder.
        address: Its host and port.
    """

    folder: Path
    address: str

    @classmethod
    def load(cls) -> Self:
        """The head in the fleet folder.

        Raises:
            DispatchError: There is none.
        """
        chosen = os.environ.get(FOLDER_VARIABLE)
        folder = Path(chosen) if chosen else platformdirs.user_state_path("odllm") / "fleet"
        try:
            told = json.loads((folder / "head.json").read_bytes())
            return cls(folder, str(told["address"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DispatchError(
                f"no head of a fleet is up on this machine: {error}",
                "start it with `odllm fleet up`",
            ) from error

    def environment(self) -> dict[str, str]:
        """The variables that Ray needs to reach it; none holds the token itself."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.folder / "token")}
