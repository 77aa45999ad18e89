"""Perplexity of a text, by the convention of llama.cpp's own `llama-perplexity`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odllm_agent.engines.base import Session
from odllm_agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The perplexity of a text.

    Attributes:
        value: exp of the mean negative log likelihood per token.
        standard_error: Of the value, by the delta method.
        n_tokens: The tokens that were predicted.
    """

    value: float
    standard_error: float
    n_tokens: int


def perplexity(session: Session, tokens: Sequence[int], window_tokens: int) -> Perplexity:
    """How surprised a model is by a text.

    The text is cut into windows of equal size; in each, the second half is predicted, so that
    every prediction rests on at least half a window of context.

    Args:
        session: The model, with room for a window.
        tokens: The text's token ids.
        window_tokens: Tokens per window; what is left over at the end is not used.

    Raises:
        UsageError: The text is shorter than one window.
    """
    if len(tokens) < window_tokens:
        raise UsageError(
            f"the text has {len(tokens)} tokens, fewer than one window of {window_tokens}",
            "take a longer text or a smaller quality.window_tokens",
        )
    surprises = np.concatenate(list(_surprises(session, tokens, window_tokens)))
    value = math.exp(surprises.mean())
    spread = surprises.std(ddof=1) / math.sqrt(len(surprises))
    return Perplexity(value, float(value * spread), len(surprises))


def negative_log_likelihoods(
    logits: NDArray[np.float32], targets: Sequence[int]
) -> NDArray[np.float64]:
    """The surprise at each target, in nats.

    Args:
        logits: Shape (n, vocabulary).
        targets: The token that came after each, shape (n,).

    Returns:
        Shape (n,).
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    surprises: NDArray[np.float64] = log_sums - shifted[np.arange(len(targets)), list(targets)]
    return surprises


def _surprises(
    session: Session, tokens: Sequence[int], window_tokens: int
) -> Iterator[NDArray[np.float64]]:
    first = window_tokens // 2
    for start in range(0, len(tokens) - window_tokens + 1, window_tokens):
        window = tokens[start : start + window_tokens]
        logits = session.logits(window)
        yield negative_log_likelihoods(logits[first:-1], window[first + 1 :])
