import random
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.statistics.interval import Rounds, interval_of
from odllm_agent.statistics.order_statistics import median_interval

TRUTH = 100.0
positive = st.floats(0.1, 1e6)


def rounds_of(least_rounds: int, least_repeats: int) -> st.SearchStrategy[list[list[float]]]:
    repeats = st.lists(positive, min_size=least_repeats, max_size=10)
    return st.lists(repeats, min_size=least_rounds, max_size=6)


def measured(
    seed: int, sizes: list[int], round_effect: float, noise: Callable[..., float]
) -> Rounds:
    """Speeds of a device that each round makes faster or slower by a factor of its own."""
    chance = random.Random(seed)
    levels = [chance.gauss(0, round_effect) for _ in sizes]
    return [
        [TRUTH * float(np.exp(level + noise(chance))) for _ in range(size)]
        for level, size in zip(levels, sizes, strict=True)
    ]


def usual(chance: random.Random) -> float:
    return chance.gauss(0, 0.05)


def with_a_long_tail(chance: random.Random) -> float:
    """Most repeats are undisturbed, a few are slowed down a great deal; their median is 0."""
    return -0.02 * (chance.lognormvariate(0, 1) - 1)


def coverage(interval: Callable[[Rounds, int], tuple[float, float]], many: list[Rounds]) -> float:
    ends = [interval(rounds, seed) for seed, rounds in enumerate(many)]
    return sum(low <= TRUTH <= high for low, high in ends) / len(many)


def by_bootstrap(rounds: Rounds, seed: int) -> tuple[float, float]:
    found = interval_of(rounds, f"trial {seed}")
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def by_order_statistics(rounds: Rounds, _: int) -> tuple[float, float]:
    found = median_interval([value for repeats in rounds for value in repeats])
    assert found is not None
    return found


@pytest.mark.parametrize("noise", [usual, with_a_long_tail])
@pytest.mark.parametrize("round_effect", [0.05, 0.3])
@pytest.mark.parametrize("sizes", [[10, 10], [3, 3, 3], [10, 3, 7], [5] * 5, [3] * 10])
def test_the_interval_covers_the_true_median_whatever_the_rounds_do(
    sizes: list[int], round_effect: float, noise: Callable[..., float]
) -> None:
    # Of 1000 the share is known to 0.7 %; of 300 it would fall below 0.93 by chance now and then.
    many = [measured(seed, sizes, round_effect, noise) for seed in range(1000)]
    assert coverage(by_bootstrap, many) >= 0.93


def test_an_interval_that_takes_repeats_for_independent_misses_it_far_too_often() -> None:
    many = [measured(seed, [5] * 5, 0.1, usual) for seed in range(300)]
    assert coverage(by_order_statistics, many) < 0.8
    assert coverage(by_bootstrap, many) >= 0.93


def test_more_rounds_make_it_narrower_and_more_repeats_of_uneven_rounds_do_not() -> None:
    def width(sizes: list[int]) -> float:
        widths = [interval_of(measured(s, sizes, 0.1, usual), "t").width or 0 for s in range(50)]
        return statistics.median(widths)

    assert width([5] * 8) < width([5] * 3) / 2
    assert width([50] * 3) > width([5] * 3) / 2


@given(rounds_of(2, 3), st.text(max_size=20))
def test_it_encloses_the_median_and_its_ends_are_positive(
    rounds: list[list[float]], seed: str
) -> None:
    found = interval_of(rounds, seed)
    assert found.low is not None
    assert found.high is not None
    assert found.middle == statistics.median([value for each in rounds for value in each])
    assert 0 <= found.low <= found.middle * (1 + 1e-9)
    assert found.high >= found.middle * (1 - 1e-9)


@settings(max_examples=30)
@given(rounds_of(2, 3), st.randoms(use_true_random=False))
def test_the_same_data_give_the_same_interval_in_any_order(
    rounds: list[list[float]], chance: random.Random
) -> None:
    shuffled = [chance.sample(each, len(each)) for each in chance.sample(rounds, len(rounds))]
    assert interval_of(shuffled, "trial") == interval_of(rounds, "trial")


@settings(max_examples=30)
@given(rounds_of(2, 3), st.floats(0.01, 100))
def test_it_scales_with_the_unit(rounds: list[list[float]], factor: float) -> None:
    found = interval_of(rounds, "trial")
    scaled = interval_of([[factor * value for value in each] for each in rounds], "trial")
    assert scaled.width == pytest.approx(found.width, rel=1e-6)


def test_the_interval_of_a_rate_is_that_of_its_time_turned_over_but_for_the_draws() -> None:
    rounds = measured(1, [5, 5, 5], 0.1, usual)
    rate = interval_of(rounds, "trial")
    time = interval_of([[1 / value for value in each] for each in rounds], "trial")
    assert (1 / time.high, 1 / time.low) == pytest.approx((rate.low, rate.high), rel=0.03)  # type: ignore[operator]


def test_another_trial_draws_otherwise() -> None:
    rounds = measured(1, [5, 5, 5], 0.1, usual)
    assert interval_of(rounds, "one").low != interval_of(rounds, "another").low


def test_values_on_both_sides_of_zero_have_an_interval_too() -> None:
    found = interval_of([[-1.0, 0.5, 1.0], [0.0, -0.5, 2.0]], "trial")
    assert found.low is not None
    assert found.low < 0 < (found.high or 0)


@pytest.mark.parametrize(
    ("rounds", "reason"),
    [
        ([[1.0] * 9], "an interval needs 2 rounds, and there is 1"),
        ([[1.0, 2.0], [3.0, 4.0, 5.0]], "an interval needs 6 repeats, and there are 5"),
    ],
)
def test_too_little_has_a_median_and_a_reason_for_no_interval(rounds: Rounds, reason: str) -> None:
    found = interval_of(rounds, "trial")
    assert (found.low, found.high, found.width, found.reason) == (None, None, None, reason)
    assert found.middle > 0


def test_equal_values_are_known_exactly() -> None:
    found = interval_of([[2.0] * 3] * 3, "trial")
    assert [found.low, found.high] == pytest.approx([2.0, 2.0])
    assert found.width == pytest.approx(0)
