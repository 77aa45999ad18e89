import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.statistics.order_statistics import median_interval, median_ranks


@pytest.mark.parametrize(
    ("n", "ranks"), [(0, None), (5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (15, (4, 12))]
)
def test_ranks_are_those_of_the_published_table(n: int, ranks: tuple[int, int] | None) -> None:
    # J.-Y. Le Boudec, Performance Evaluation of Computer and Communication Systems, table A.1.
    assert median_ranks(n) == ranks


@given(st.lists(st.floats(0.1, 1e6), min_size=6, max_size=60))
def test_interval_encloses_the_median_and_is_made_of_values(values: list[float]) -> None:
    interval = median_interval(values)
    assert interval is not None
    low, high = interval
    assert low <= statistics.median(values) <= high
    assert {low, high} <= set(values)


@pytest.mark.parametrize("n", [6, 12, 30])
def test_interval_covers_the_true_median_at_least_as_often_as_it_says(n: int) -> None:
    chance = random.Random(n)
    hits = 0
    for _ in range(2000):
        interval = median_interval([chance.lognormvariate(0, 1) for _ in range(n)])
        assert interval is not None
        hits += interval[0] <= 1.0 <= interval[1]
    assert hits / 2000 >= 0.94
