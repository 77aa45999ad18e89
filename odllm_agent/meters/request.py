"""What an experiment asks for when it names a meter: `rapl`, or `estimate:tdp_w=28`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from odllm_agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Request:
    """A meter's name with its settings.

    Attributes:
        text: As it was written: NAME, or NAME:KEY=VALUE,KEY=VALUE.
        name: The name.
        settings: The values by key; a value holds no comma.
    """

    text: str
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Request":
        """The request that a text stands for.

        Raises:
            UsageError: A setting has no value, or is given twice.
        """
        name, _, rest = text.partition(":")
        settings: dict[str, str] = {}
        for part in rest.split(",") if rest else ():
            key, _, value = part.partition("=")
            if not value or key in settings:
                raise UsageError(
                    f"the power meter {text!r} has no {key}=VALUE, or more than one",
                    f"write {name}:KEY=VALUE,KEY=VALUE",
                )
            settings[key] = value
        return cls(text, name, settings)

    def check(self, known: Sequence[str]) -> None:
        """Refuses settings that the meter does not have.

        Raises:
            UsageError: One is unknown.
        """
        unknown = [key for key in self.settings if key not in known]
        if unknown:
            raise UsageError(
                f"the power meter {self.name} has no setting {unknown[0]}",
                f"it has {', '.join(known)}" if known else "it has none",
            )

    def number(self, key: str) -> float | None:
        """A setting's value, at least 0, or `None` where it is not given.

        Raises:
            UsageError: It is no such number.
        """
        if key not in self.settings:
            return None
        try:
            value = float(self.settings[key])
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise UsageError(
                f"{key}={self.settings[key]} of the power meter {self.name} is no number of 0 "
                "or more",
                f"write {self.name}:{key}=28",
            )
        return value
