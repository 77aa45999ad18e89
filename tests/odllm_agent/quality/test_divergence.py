import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from odllm_agent.quality.divergence import SCORES, Divergence, compare, joined, share

seeds = st.integers(0, 2**32 - 1)


def drawn(
    seed: int, n: int = 6, vocabulary: int = 40
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """A base's logits, those of a model near it, and targets."""
    chance = np.random.default_rng(seed)
    base = (chance.normal(size=(n, vocabulary)) * 3).astype(np.float32)
    model = base + (chance.normal(size=base.shape) * 0.3).astype(np.float32)
    return model, base, chance.integers(0, vocabulary, size=n)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = logits.astype(np.float64)
    logged: NDArray[np.float64] = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    return logged


@given(seeds)
def test_the_divergence_is_that_of_the_two_distributions(seed: int) -> None:
    model, base, targets = drawn(seed)
    found = compare(model, base, targets.tolist())
    log_p, log_q = log_softmax(base), log_softmax(model)
    wanted = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    assert found.kld == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    rows = np.arange(len(targets))
    assert found.surprise == pytest.approx(-log_q[rows, targets], rel=1e-5)
    assert found.base_surprise == pytest.approx(-log_p[rows, targets], rel=1e-5)
    change = np.exp(log_q[rows, targets]) - np.exp(log_p[rows, targets])
    assert found.delta_p == pytest.approx(change, abs=1e-6)


@given(seeds)
def test_it_is_not_symmetric_and_the_base_is_the_truth(seed: int) -> None:
    model, base, targets = drawn(seed)
    there = compare(model, base, targets.tolist()).kld
    back = compare(base, model, targets.tolist()).kld
    assert (there > 0).all()
    assert not np.allclose(there, back, rtol=1e-4)


def test_a_model_that_is_its_own_base_differs_in_nothing() -> None:
    _, base, targets = drawn(0)
    found = compare(base, base, targets.tolist())
    assert (found.kld == 0).all()
    values = {name: score(found) for name, score in SCORES.items()}
    assert {name: score.value for name, score in values.items()} == {
        "kld": 0,
        "top1_agreement": 1,
        "delta_p": 0,
        "delta_p_rms": 0,
    }
    assert {score.standard_error for score in values.values()} == {0}


def test_small_divergences_of_large_vocabularies_are_right_to_a_thousandth() -> None:
    chance = np.random.default_rng(3)
    base = (chance.normal(size=(9, 150_000)) * 3 + 20).astype(np.float32)
    model = base + (chance.normal(size=base.shape) * 0.02).astype(np.float32)
    log_p, log_q = log_softmax(base), log_softmax(model)
    wanted = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    assert 1e-5 < wanted.mean() < 1e-3
    found = compare(model, base, [0] * 9).kld
    assert found.mean() == pytest.approx(wanted.mean(), rel=1e-3)


def test_agreement_counts_the_same_likeliest_token() -> None:
    base = np.eye(4, dtype=np.float32)
    model = base[[0, 1, 3, 2]]
    found = compare(model, base, [0] * 4)
    assert found.same_top.tolist() == [True, True, False, False]


def test_parts_join_in_their_order() -> None:
    model, base, targets = drawn(5, n=8)
    whole = compare(model, base, targets.tolist())
    halves = [
        compare(model[rows], base[rows], targets[rows].tolist())
        for rows in (slice(0, 3), slice(3, 8))
    ]
    assert joined(halves).kld == pytest.approx(whole.kld)
    assert joined(halves).same_top.tolist() == whole.same_top.tolist()


def made(delta: list[float]) -> Divergence:
    """Two models whose right tokens differ in probability as told."""
    base_p = np.full(len(delta), 0.5)
    return Divergence(
        surprise=-np.log(base_p + delta),
        base_surprise=-np.log(base_p),
        kld=np.arange(len(delta), dtype=np.float64),
        same_top=np.ones(len(delta), np.bool_),
    )


def test_errors_are_those_of_llama_perplexity() -> None:
    delta = [0.1, -0.2, 0.3, 0.05, -0.15, 0.0, 0.25, -0.3, 0.12, -0.01, 0.07, 0.2]
    n = len(delta)
    change = np.array(delta)

    def error(values: NDArray[np.float64]) -> float:
        # mean_and_uncertainty of perplexity.cpp
        return math.sqrt(((values**2).mean() - values.mean() ** 2) / (n - 1))

    found = made(delta)
    scores = {name: score(found) for name, score in SCORES.items()}
    assert scores["kld"].value == pytest.approx((n - 1) / 2)
    assert scores["kld"].standard_error == pytest.approx(error(np.arange(n, dtype=np.float64)))
    assert scores["delta_p"].value == pytest.approx(change.mean())
    assert scores["delta_p"].standard_error == pytest.approx(error(change))
    rms = math.sqrt((change**2).mean())
    assert scores["delta_p_rms"].value == pytest.approx(rms)
    assert scores["delta_p_rms"].standard_error == pytest.approx(0.5 / rms * error(change**2))
    assert {score.n for score in scores.values()} == {n}


def test_a_share_has_the_error_of_a_binomial_one() -> None:
    score = share("accuracy", np.array([True] * 30 + [False] * 10))
    assert (score.value, score.n) == (0.75, 40)
    assert score.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 39))
