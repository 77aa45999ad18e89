"""What every engine offers to a trial: timed windows of token ids, and logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prefill:
    """The times of one prompt.

    Attributes:
        prefill_s: Prompt handed over -> its last logits ready.
        ttft_s: Prompt handed over -> first output token chosen.
    """

    prefill_s: float
    ttft_s: float


class Session(Protocol):
    """A loaded model with an empty context; closed when left as a context manager.

    Attributes:
        vocabulary: The number of token ids.
        start_token: The token that the model wants at the start of every text, or `None`.
        runtime_bpw: Bits per weight of what the engine holds, or `None` if it does not tell.
        system: What the engine says of the processor features it uses.
    """

    vocabulary: int
    start_token: int | None
    runtime_bpw: float | None
    system: str

    def __enter__(self) -> "Session": ...

    def __exit__(self, *_: object) -> None: ...

    def reset(self) -> None:
        """Empties the context."""

    def fill(self, tokens: Sequence[int]) -> None:
        """Puts tokens into the context, outside of any window."""

    def prefill(self, tokens: Sequence[int]) -> Prefill:
        """Puts the prompt into the context in one go and chooses the first output token."""

    def decode(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Puts tokens into the context one after another.

        Returns:
            The seconds of each token until its logits were ready, shape (len(tokens),).
        """

    def logits(self, tokens: Sequence[int], first: int = 0) -> "NDArray[np.float32]":
        """The logits after each token of a fresh context, from a position on.

        Returns:
            Shape (len(tokens) - first, vocabulary); the caller's own.
        """

    def extend(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """Puts tokens into the context and gives the logits after the last, shape (vocabulary,)."""

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without any added at its start or end."""

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids; special tokens have none."""

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model has to say."""
