import pytest

from benchmarks.spread import Spread


def test_median_between_its_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(median=3.0, lower=2.0, upper=4.0, n=5)


def test_one_value_is_all_of_them() -> None:
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0, 1)


def test_one_outlier_moves_neither_median_nor_quartiles_far() -> None:
    spread = Spread.of([1.0] * 9 + [100.0])
    assert (spread.median, spread.lower, spread.upper) == pytest.approx((1.0, 1.0, 1.0))
