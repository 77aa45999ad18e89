"""How far a model's predictions lie from those of the file that it was quantized from.

The figures and their standard errors are those of `llama-perplexity --kl-divergence`
(`kl_divergence` in llama.cpp's tools/perplexity). That tool reads the base's probabilities from a
file with 16 bits each; here both models run side by side and nothing is rounded.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from odllm_agent.contract import Score
from odllm_agent.quality.perplexity import Logits, PerToken, blocks, log_sums


@dataclass(frozen=True, slots=True)
class Divergence:
    """Two models at the same tokens of a text; every array has shape (n,).

    Attributes:
        surprise: -log(probability) of the right token in the model, in nats.
        base_surprise: The same in the base.
        kld: The Kullback-Leibler divergence of the model from the base, in nats.
        same_top: Whether both hold the same token for the likeliest.
    """

    surprise: PerToken
    base_surprise: PerToken
    kld: PerToken
    same_top: NDArray[np.bool_]

    @property
    def delta_p(self) -> PerToken:
        """The right token's probability in the model, less that in the base."""
        change: PerToken = np.exp(-self.surprise) - np.exp(-self.base_surprise)
        return change


def compare(logits: Logits, base_logits: Logits, targets: Sequence[int]) -> Divergence:
    """Compares a model with its base at each target.

    Args:
        logits: The model's, shape (n, vocabulary).
        base_logits: The base's, of the same shape.
        targets: The token that came after each, shape (n,).
    """
    wanted = np.asarray(targets)
    parts = [
        _compare_block(logits[rows], base_logits[rows], wanted[rows])
        for rows in blocks(*logits.shape)
    ]
    return joined(parts)


def joined(parts: Sequence[Divergence]) -> Divergence:
    """The divergences of a text's parts as one."""
    columns = (
        np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Divergence)
    )
    return Divergence(*columns)


def _compare_block(logits: Logits, base: Logits, targets: NDArray[np.int64]) -> Divergence:
    rows = np.arange(len(targets))
    sums, base_sums = log_sums(logits), log_sums(base)
    base_p = np.exp(base - base_sums[:, None].astype(np.float32))
    # sum p (log p - log q), where log p = base - base_sums, log q = logits - sums and sum p = 1.
    gaps = (base_p * (base - logits)).sum(axis=1, dtype=np.float64)
    return Divergence(
        surprise=sums - logits[rows, targets],
        base_surprise=base_sums - base[rows, targets],
        kld=gaps + sums - base_sums,
        same_top=logits.argmax(axis=1) == base.argmax(axis=1),
    )


def _delta_p_rms(found: Divergence) -> Score:
    """The root of the mean square; its error follows from the mean square's by the delta method."""
    square = _mean("", found.delta_p**2)
    value = math.sqrt(square.value or 0.0)
    error = (square.standard_error or 0.0) / (2 * value) if value else 0.0
    return Score("delta_p_rms", value, error, square.n)


SCORES: Mapping[str, Callable[[Divergence], Score]] = {
    "kld": lambda found: _mean("kld", found.kld),
    "top1_agreement": lambda found: share("top1_agreement", found.same_top),
    "delta_p": lambda found: _mean("delta_p", found.delta_p),
    "delta_p_rms": _delta_p_rms,
}
"""How each figure follows from the tokens, by its name."""


def share(metric: str, right: NDArray[np.bool_]) -> Score:
    """A share of right ones, with the standard error of a binomial share.

    Args:
        metric: The score's name.
        right: Whether each is right; at least two.
    """
    value = float(right.mean())
    return Score(metric, value, math.sqrt(value * (1 - value) / (len(right) - 1)), len(right))


def _mean(metric: str, values: PerToken) -> Score:
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return Score(metric, float(values.mean()), error, len(values))
