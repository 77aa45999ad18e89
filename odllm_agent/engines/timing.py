"""What is timed of a prompt: its logits, and the first output token chosen (TTFT)."""

from dataclasses import dataclass
from typing import Self

from odllm_agent.clock import seconds_between


@dataclass(frozen=True, slots=True)
class Prefill:
    """The times of one prompt.

    Attributes:
        prefill_s: Prompt handed over -> its last logits ready.
        ttft_s: Prompt handed over -> first output token chosen.
    """

    prefill_s: float
    ttft_s: float

    @classmethod
    def between(cls, start_ns: int, ready_ns: int, chosen_ns: int) -> Self:
        """The times of a prompt by `odllm_agent.clock.monotonic_ns`.

        Args:
            start_ns: When the first of its tokens was handed to the engine.
            ready_ns: When its last logits were ready.
            chosen_ns: When the first output token was chosen from them.
        """
        return cls(seconds_between(start_ns, ready_ns), seconds_between(start_ns, chosen_ns))
