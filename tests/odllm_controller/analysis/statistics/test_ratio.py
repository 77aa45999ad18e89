import math
import random

import pytest

from odllm_controller.analysis.statistics.ratio import Measured, ratio

TRUTH = 1.5


def two_sides(
    seed: int, n_rounds: int, round_effect: float, *, shared: bool = True
) -> tuple[Measured, Measured]:
    """Two configurations of which one is half as fast again, in rounds that are fast or slow."""
    chance = random.Random(seed)
    levels = [chance.gauss(0, round_effect) for _ in range(n_rounds)]
    others = levels if shared else [chance.gauss(0, round_effect) for _ in range(n_rounds)]

    def side(run: str, speed: float, by_round: list[float]) -> Measured:
        return {
            (run, index): tuple(speed * math.exp(level + chance.gauss(0, 0.02)) for _ in range(5))
            for index, level in enumerate(by_round)
        }

    return side("run", TRUTH, levels), side("run" if shared else "other", 1.0, others)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("n_rounds", "round_effect"), [(2, 0.1), (3, 0.3), (6, 0.1), (3, 0.0)])
def test_the_interval_covers_the_true_ratio(
    n_rounds: int, round_effect: float, shared: bool
) -> None:
    hits = 0
    for seed in range(200):
        found = ratio(*two_sides(seed, n_rounds, round_effect, shared=shared), f"pair {seed}")
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= TRUTH <= found.high
    assert hits / 200 >= 0.93


def test_what_both_sides_share_by_round_cancels() -> None:
    paired = ratio(*two_sides(1, 5, 0.3), "pair")
    apart = ratio(*two_sides(1, 5, 0.3, shared=False), "pair")
    assert paired.width is not None
    assert apart.width is not None
    assert paired.width < apart.width / 3


def test_only_rounds_that_both_have_are_compared() -> None:
    of, against = two_sides(1, 3, 0.0)
    more = {**of, ("run", 3): (1e9,) * 5}
    assert ratio(more, against, "pair") == ratio(of, against, "pair")


def test_the_same_round_of_another_run_is_another_round() -> None:
    of, against = two_sides(1, 3, 0.3)
    later = {("later", index): values for (_, index), values in against.items()}
    assert (ratio(of, later, "pair").width or 0) > 3 * (ratio(of, against, "pair").width or 0)


def test_turning_the_sides_round_turns_the_ratio_over() -> None:
    of, against = two_sides(1, 3, 0.1)
    assert ratio(against, of, "pair").middle == pytest.approx(1 / ratio(of, against, "pair").middle)


def test_too_little_has_a_ratio_and_a_reason_for_no_interval() -> None:
    found = ratio({("run", 0): (3.0,) * 7}, {("run", 0): (2.0,) * 7}, "pair")
    assert (found.middle, found.low, found.high) == (1.5, None, None)
    assert found.reason == "an interval needs 2 rounds, and there is 1"
