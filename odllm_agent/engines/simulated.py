"""The engine `simulated`: no model is run, and every time comes from a formula.

It is for tests of a fleet's load. What it gives is as far from a measurement as its formula: a
token takes as long as reading the file once, or as multiplying with all weights, whichever is
longer; a prompt likewise, multiplied with for each of its tokens. Both scatter by a few percent.
"""

import random
from dataclasses import dataclass

from odllm_agent.contract import ModelFile

VERSION = "formula-1"

# A multiplication and an addition.
_PER_WEIGHT = 2
_SCATTER_OF_REPEATS = 0.02
_SCATTER_OF_TOKENS = 0.01


@dataclass(frozen=True, slots=True)
class Pace:
    """What a simulated device is said to do at most.

    Attributes:
        read_bytes_per_s: From its memory.
        operations_per_core_s: Multiplications and additions.
        disk_bytes_per_s: From its disk.
    """

    read_bytes_per_s: float
    operations_per_core_s: float
    disk_bytes_per_s: float

    def operations_per_s(self, threads: int) -> float:
        """Of so many cores together."""
        return self.operations_per_core_s * threads

    def load_s(self, model: ModelFile) -> float:
        """How long loading a model takes."""
        return model.file_bytes / self.disk_bytes_per_s

    def pass_s(self, model: ModelFile, threads: int, n_tokens: int) -> float:
        """How long it takes to put tokens through a model in one go."""
        operations = _PER_WEIGHT * model.n_weights * model.met_share() * n_tokens
        read_bytes = model.file_bytes * model.met_share(n_tokens)
        return max(read_bytes / self.read_bytes_per_s, operations / self.operations_per_s(threads))


@dataclass(frozen=True, slots=True)
class Times:
    """The times of one repeat.

    Attributes:
        prefill_s: Of the prompt.
        token_s: Of each output token.
    """

    prefill_s: float
    token_s: tuple[float, ...]


def times(prefill_s: float, token_s: float, output_tokens: int, seed: str) -> Times:
    """What a repeat scatters to.

    Args:
        prefill_s: The prompt's time by the formula.
        token_s: A token's time by the formula.
        output_tokens: The number of tokens.
        seed: What the scatter is drawn from: the same seed gives the same times.
    """
    chance = random.Random(seed)  # noqa: S311 - not a secret
    repeat = chance.lognormvariate(0, _SCATTER_OF_REPEATS)
    return Times(
        prefill_s=prefill_s * repeat,
        token_s=tuple(
            token_s * repeat * chance.lognormvariate(0, _SCATTER_OF_TOKENS)
            for _ in range(output_tokens)
        ),
    )
