"""What every engine offers to a trial: timed windows of token ids, and logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from odllm_agent.contract import Anatomy, Engine, HeldMemory, ModelFile, Workload
from odllm_agent.engines.floor import KvCache
from odllm_agent.engines.timing import Prefill
from odllm_agent.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Weights:
    """One tensor of a model file.

    Attributes:
        name: The tensor's name.
        type: The type of its weights by ggml's name, such as `Q4_K`.
        shape: Its dimensions, the length of a row first.
        n_bytes: The bytes of the weights.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    n_bytes: int


@dataclass(frozen=True, slots=True)
class ContextMemory:
    """What a context takes beside the weights.

    Attributes:
        kv_bytes: The KV cache.
        compute_bytes: The buffers for computing and for logits.
    """

    kv_bytes: int
    compute_bytes: int


@dataclass(frozen=True, slots=True)
class WeightMemory:
    """Where an engine keeps the weights of a model file.

    Attributes:
        mapped_bytes: Mapped from the file.
        unread_bytes: The part of them that is not read again once the model is loaded.
        loaded_bytes: In memory of the process's own.
    """

    mapped_bytes: int
    unread_bytes: int
    loaded_bytes: int


class Session(Protocol):
    """A loaded model with an empty context; closed when left as a context manager.

    Attributes:
        folder: Where the files lie that it was loaded from.
        vocabulary: The number of token ids.
        start_token: The token that the model wants at the start of every text, or `None`.
        runtime_bpw: Bits per weight of what the engine holds, or `None` if it does not tell.
        system: What the engine says of the processor features it uses.
        anatomy: What the model consists of as the engine holds it, or why that cannot be told.
        kv_cache: How it keeps keys and values.
    """

    folder: Path
    vocabulary: int
    start_token: int | None
    runtime_bpw: float | None
    system: str
    anatomy: Anatomy
    kv_cache: KvCache

    def __enter__(self) -> "Session": ...

    def __exit__(self, *_: object) -> None: ...

    def reset(self) -> None:
        """Empties the context."""

    def rewind(self, held: int) -> bool:
        """Takes all tokens but the first `held` out of the context again.

        Returns:
            Whether the engine could; if not, the context is as it was.
        """

    def fill(self, tokens: Sequence[int]) -> None:
        """Puts tokens into the context, outside of any window."""

    def prefill(self, tokens: Sequence[int]) -> Prefill:
        """Puts the prompt into the context in one go and chooses the first output token."""

    def decode(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Puts tokens into the context one after another.

        Returns:
            The seconds of each token until its logits were ready, shape (len(tokens),).
        """

    def is_sound(self) -> bool:
        """Whether the logits after the last token are numbers, and not all the same."""

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


class MemoryTeller(Protocol):
    """The module of an engine that can tell its memory without loading weights."""

    def why_untold(self, engine: Engine) -> str:
        """Why it cannot tell with these settings, or `""` if it can."""

    def weight_memory(self, engine: Engine, weights: Sequence[Weights]) -> WeightMemory:
        """Where the weights of a file go."""

    def rehearse(self, engine: Engine, model: ModelFile, workload: Workload) -> Session:
        """A session without weights, in which nothing can be computed."""

    def rehearse_step(self, engine: Engine, model: ModelFile, workload: Workload) -> Session:
        """The same, with no larger buffers than the largest step of the workload touches."""

    def context_memory(self, log: str, weights: Sequence[Weights]) -> ContextMemory:
        """What a context takes, from what the engine said in a rehearsal."""

    def with_told(self, held: HeldMemory, log: str) -> HeldMemory:
        """What a worker held, with the parts of it that the engine told in the worker's log."""


class CeilingTeller(Protocol):
    """The module of an engine that multiplies matrices apart from any model.

    Attributes:
        METHOD: How it does, in words.
    """

    METHOD: str

    def operations_per_s(self, engine: Engine, type_name: str, budget_s: float) -> float:
        """Operations per second of the quickest product with weights of a type."""


def refuse_overflow(n_tokens: int, held: int, context_tokens: int) -> None:
    """Refuses tokens that a context has no room for.

    Args:
        n_tokens: The tokens to come.
        held: Those that are in the context.
        context_tokens: The most that may be in it.

    Raises:
        EngineError: There is no room.
    """
    if held + n_tokens > context_tokens:
        raise EngineError(
            f"{n_tokens} more tokens do not fit in a context of {context_tokens} that holds {held}",
            "load the model with a larger context",
        )
