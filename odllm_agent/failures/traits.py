"""What trials and quality checks that fail may have in common."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from odllm_agent.contract import QualityCheck, Scalar, Trial

Settings = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Traits:
    """What of a trial or a quality check others may share; `None` is what several do not.

    Attributes:
        engine: The engine's name.
        settings: Its settings.
        model: The model's name.
        quantization: The type of its file.
    """

    engine: str
    settings: Settings | None
    model: str | None
    quantization: str | None

    @classmethod
    def of(cls, of: Trial | QualityCheck) -> Self:
        """The traits of a trial or a quality check."""
        settings = tuple(sorted(of.engine.settings.items()))
        return cls(of.engine.name, settings, of.model.name, of.model.quantization)

    def shared(self, other: "Traits") -> "Traits":
        """What both have in common; they are of one engine."""
        return Traits(
            self.engine,
            self.settings if self.settings == other.settings else None,
            self.model if self.model == other.model else None,
            self.quantization if self.quantization == other.quantization else None,
        )

    def include(self, other: "Traits") -> bool:
        """Whether something has all of these traits."""
        return self.engine == other.engine and self.shared(other) == self

    def told(self, among: Collection["Traits"]) -> str:
        """The traits in words: the engine, the type, and what tells them from others.

        Args:
            among: Those of everything that was planned.
        """
        others = [each for each in among if each.engine == self.engine]
        settings = ", ".join(
            f"{name}={value}"
            for name, value in self.settings or ()
            if any((name, value) not in (each.settings or ()) for each in others)
        )
        model = self.model if any(each.model != self.model for each in others) else None
        file = " ".join(filter(None, (model, self.quantization)))
        return f"{self.engine}{settings and f' with {settings}'}{file and f' at {file}'}"
