import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.quality.perplexity import blocks, perplexity, surprises


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
def test_surprise_is_the_softmax_and_does_not_depend_on_a_common_offset(
    seed: int, offset: float
) -> None:
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(5, 11)).astype(np.float32)
    targets = chance.integers(0, 11, size=5).tolist()
    found = surprises(logits, targets)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found == pytest.approx(-np.log(softmax[np.arange(5), targets]), rel=1e-4)
    assert surprises(logits + np.float32(offset), targets) == pytest.approx(found, abs=1e-4)


def test_a_large_vocabulary_costs_no_precision() -> None:
    chance = np.random.default_rng(0)
    logits = (chance.normal(size=(7, 150_000)) * 3).astype(np.float32)
    targets = chance.integers(0, 150_000, size=7)
    exact = logits.astype(np.float64)
    wanted = np.log(np.exp(exact).sum(axis=1)) - exact[np.arange(7), targets]
    assert surprises(logits, targets.tolist()) == pytest.approx(wanted, rel=1e-6)


@given(st.integers(0, 2000), st.integers(1, 200_000))
def test_blocks_hold_every_row_once_in_order(n_rows: int, vocabulary: int) -> None:
    rows = [row for block in blocks(n_rows, vocabulary) for row in range(block.start, block.stop)]
    assert rows == list(range(n_rows))


def test_even_surprise_has_its_exponential_as_perplexity_and_no_error() -> None:
    score = perplexity(np.full(100, math.log(50)))
    assert score.value == pytest.approx(50)
    assert score.standard_error == pytest.approx(0, abs=1e-9)
    assert (score.metric, score.n) == ("perplexity", 100)


def test_the_error_of_a_perplexity_is_that_of_llama_perplexity() -> None:
    surprise = np.random.default_rng(1).exponential(size=400)
    mean, square = surprise.mean(), (surprise**2).mean()
    # As perplexity.cpp has it: sqrt((mean of squares - square of mean) / (count - 1)) x value.
    wanted = math.exp(mean) * math.sqrt((square - mean**2) / 399)
    assert perplexity(surprise).standard_error == pytest.approx(wanted)


def test_a_perplexity_beyond_any_number_is_infinite_and_no_error() -> None:
    assert perplexity(np.array([1e3, 1e4])).value == math.inf
