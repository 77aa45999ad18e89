import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from odllm_agent.errors import UsageError
from odllm_agent.quality.perplexity import negative_log_likelihoods, perplexity


class Guesser:
    """A session that gives the next of `vocabulary` tokens in a cycle the chance `chance`."""

    def __init__(self, vocabulary: int, chance: float) -> None:
        self.vocabulary, self.chance = vocabulary, chance
        self.windows: list[list[int]] = []

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        self.windows.append(list(tokens))
        rest = (1 - self.chance) / (self.vocabulary - 1)
        rows = np.full((len(tokens), self.vocabulary), math.log(rest), np.float32)
        for row, token in enumerate(tokens):
            rows[row, (token + 1) % self.vocabulary] = math.log(self.chance)
        return rows


def cycle(length: int, vocabulary: int) -> list[int]:
    return [place % vocabulary for place in range(length)]


def test_a_model_that_knows_nothing_is_as_surprised_as_its_vocabulary_is_large() -> None:
    session = Guesser(vocabulary=50, chance=1 / 50)
    found = perplexity(session, cycle(640, 50), 64)  # type: ignore[arg-type]
    assert found.value == pytest.approx(50, rel=1e-5)
    assert found.standard_error == pytest.approx(0, abs=1e-4)


def test_a_model_that_gives_each_token_a_chance_has_its_inverse_as_perplexity() -> None:
    session = Guesser(vocabulary=50, chance=0.4)
    found = perplexity(session, cycle(640, 50), 64)  # type: ignore[arg-type]
    assert found.value == pytest.approx(2.5, rel=1e-5)


def test_only_the_second_half_of_each_whole_window_is_predicted() -> None:
    session = Guesser(vocabulary=50, chance=0.4)
    found = perplexity(session, cycle(64 * 3 + 63, 50), 64)  # type: ignore[arg-type]
    assert [len(window) for window in session.windows] == [64, 64, 64]
    assert found.n_tokens == 3 * 31


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(UsageError, match="63 tokens"):
        perplexity(Guesser(50, 0.4), cycle(63, 50), 64)  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
def test_surprise_is_the_softmax_and_does_not_depend_on_a_common_offset(
    seed: int, offset: float
) -> None:
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(5, 11)).astype(np.float32)
    targets = chance.integers(0, 11, size=5).tolist()
    found = negative_log_likelihoods(logits, targets)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found == pytest.approx(-np.log(softmax[np.arange(5), targets]), rel=1e-4)
    shifted = negative_log_likelihoods(logits + np.float32(offset), targets)
    assert shifted == pytest.approx(found, abs=1e-4)
