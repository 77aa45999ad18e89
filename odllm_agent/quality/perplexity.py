"""How surprised a model is by each token of a text, and what follows for the text as a whole."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from odllm_agent.contract import Score

Logits = NDArray[np.float32]
PerToken = NDArray[np.float64]

# About a megabyte: blocks of rows that stay in a processor's cache from one pass to the next.
_BLOCK_VALUES = 2**18


class NoNumbers(ArithmeticError):
    """A model's output holds no numbers, as where its weights are damaged."""


def refuse_no_numbers(highest: Logits) -> None:
    """Checks the highest logit of each row: it is no number where any of the row is none.

    Raises:
        NoNumbers: One is none.
    """
    if not np.isfinite(highest).all():
        raise NoNumbers("the model's output holds no numbers: its file may be damaged")


def blocks(n_rows: int, vocabulary: int) -> Iterator[slice]:
    """Cuts rows of logits into blocks that are quick to work on.

    Args:
        n_rows: The number of rows.
        vocabulary: The length of a row.
    """
    size = max(1, _BLOCK_VALUES // vocabulary)
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def log_sums(logits: Logits) -> PerToken:
    """log(sum(exp(row))) of each row, shape (n,).

    Single values stay in float32, as the engine made them; they are summed up in float64.

    Args:
        logits: Shape (n, vocabulary).

    Raises:
        NoNumbers: They are none.
    """
    highest = logits.max(axis=1, keepdims=True)
    refuse_no_numbers(highest)
    shares = np.exp(logits - highest)
    sums: PerToken = np.log(shares.sum(axis=1, dtype=np.float64)) + highest[:, 0]
    return sums


def surprises(logits: Logits, targets: Sequence[int]) -> PerToken:
    """The surprise at each target: -log(probability), in nats.

    Args:
        logits: Shape (n, vocabulary).
        targets: The token that came after each, shape (n,).

    Returns:
        Shape (n,).
    """
    found = np.empty(len(targets))
    wanted = np.asarray(targets)
    for rows in blocks(*logits.shape):
        block = logits[rows]
        found[rows] = log_sums(block) - block[np.arange(len(block)), wanted[rows]]
    return found


def perplexity(surprise: PerToken) -> Score:
    """Exp of the mean surprise, and its standard error by the delta method.

    The formulas are llama-perplexity's (`perplexity` in llama.cpp's tools/perplexity).

    Args:
        surprise: At each predicted token, in nats; at least two.

    Returns:
        Infinity where it is more than a number can tell.
    """
    with np.errstate(over="ignore"):
        value = float(np.exp(surprise.mean()))
    spread = float(surprise.std(ddof=1)) / math.sqrt(len(surprise))
    return Score("perplexity", value, value * spread, len(surprise))
