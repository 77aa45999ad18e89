"""An engine's own tool that ODLLM is compared with, and what both sides measure."""

from dataclasses import dataclass
from typing import Protocol

from odllm_agent.contract import Repeat, Trial

PROMPT_TOKENS, OUTPUT_TOKENS = 128, 64


@dataclass(frozen=True, slots=True)
class Speed:
    """What one side measured in one pair: medians over its repeats, in tokens per second."""

    prefill_tok_s: float
    decode_tok_s: float


class Peer(Protocol):
    """A tool that measures the same model with the same settings."""

    @property
    def name(self) -> str:
        """What to call it."""

    def prefill_s(self, repeat: Repeat) -> float:
        """The time of ODLLM's that means what this tool's prefill means."""

    def speed(self, trial: Trial, repeats: int) -> Speed:
        """What the tool measures of a trial's model with its settings.

        Raises:
            EngineError: It fails, or is another version.
        """
