"""Whether a fit finds what bounded data that were made by a formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_controller.analysis.bounds.bound import Bound, Task, coefficients, fit
from tests.odllm_controller.analysis.made import tasks

COSTS = st.floats(1e-3, 1e3)
ONCE = np.ones((1, 12))


@given(COSTS, COSTS, COSTS, st.integers(0, 2**32 - 1))
def test_coefficients_of_exact_data_are_found(a: float, b: float, c: float, seed: int) -> None:
    costs = np.random.default_rng(seed).uniform(0.1, 10, (12, 3))
    truth = np.array([a, b, c])
    (found,) = coefficients(costs, costs @ truth, ONCE)
    assert costs @ found == pytest.approx(costs @ truth, rel=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_no_coefficient_is_negative_and_no_choice_fits_better(seed: int) -> None:
    chance = np.random.default_rng(seed)
    costs, times = chance.uniform(0.1, 10, (12, 3)), chance.uniform(0.1, 10, 12)
    (found,) = coefficients(costs, times, ONCE)
    assert (found >= 0).all()
    error = ((costs @ found / times - 1) ** 2).sum()
    for _ in range(50):
        other = found * chance.uniform(0, 2, 3) + chance.uniform(0, 0.1, 3)
        assert error <= ((costs @ other / times - 1) ** 2).sum() + 1e-9


@settings(max_examples=20)
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_units_do_not_matter(per_byte: float, per_operation: float, per_second: float) -> None:
    made = tasks(bandwidth=20e9, operations_per_s=5e9)
    scaled = [
        Task(
            each.read_bytes * per_byte, each.operations * per_operation, each.window_s * per_second
        )
        for each in made
    ]
    first, second = (
        [part.value for each in fit(some) if (part := each.traffic)] for some in (made, scaled)
    )
    assert first == pytest.approx(second, abs=1e-6)


@settings(max_examples=10)
@given(st.floats(1e9, 1e11), st.integers(0, 2**32 - 1))
def test_traffic_that_bounds_is_found_under_noise(bandwidth: float, seed: int) -> None:
    made = tasks(bandwidth, operations_per_s=1e4 * bandwidth, noise=0.03, seed=seed)
    assert {each.bound for each in fit(made)} == {Bound.TRAFFIC}


@settings(max_examples=10)
@given(st.floats(1e9, 1e12), st.integers(0, 2**32 - 1))
def test_computation_that_bounds_is_found_under_noise(per_s: float, seed: int) -> None:
    made = tasks(bandwidth=1e4 * per_s, operations_per_s=per_s, noise=0.03, seed=seed)
    assert {each.bound for each in fit(made)} == {Bound.COMPUTE}


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_times_that_hang_on_nothing_are_undecided(seed: int) -> None:
    chance = np.random.default_rng(seed)
    made = [
        Task(each.read_bytes, each.operations, float(chance.uniform(0.001, 1)))
        for each in tasks(20e9, 50e9)
    ]
    found = [each.bound for each in fit(made)]
    assert found.count(Bound.UNDECIDED) > len(found) / 2


def test_a_time_that_is_the_same_for_all_is_neither_traffic_nor_computation() -> None:
    made = [Task(each.read_bytes, each.operations, 0.5) for each in tasks(20e9, 50e9)]
    assert {each.bound for each in fit(made)} == {Bound.UNDECIDED}


def test_small_models_may_be_bounded_by_another_than_large_ones() -> None:
    """A fixed time per token outweighs the bytes of small models and vanishes in large ones."""
    made = tasks(bandwidth=10e9, operations_per_s=1e15, fixed_s=0.1, noise=0.01)
    found = fit(made)
    assert found[0].bound is Bound.UNDECIDED
    assert found[-1].bound is Bound.TRAFFIC
    parts = [each.traffic.value for each in found if each.traffic]
    assert parts[0] < 0.2
    assert parts[-1] > 0.8


@settings(max_examples=10)
@given(st.floats(0, 0.1), st.integers(0, 2**32 - 1))
def test_bytes_and_operations_that_always_go_together_cannot_be_told_apart(
    noise: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    made = [
        Task(n / 2, 2 * n, n / 10e9 * (1 + noise * float(chance.standard_normal())))
        for n in np.geomspace(1e8, 1e10, 12)
    ]
    assert {each.bound for each in fit(made)} == {Bound.UNDECIDED}


@given(st.lists(st.tuples(COSTS, COSTS, COSTS), min_size=6, max_size=9))
@settings(max_examples=25)
def test_parts_are_shares_and_their_intervals_are_in_order(
    some: list[tuple[float, float, float]],
) -> None:
    for each in fit([Task(*values) for values in some]):
        assert each.traffic is not None
        assert each.compute is not None
        for part in (each.traffic, each.compute):
            assert 0 <= part.low <= part.high <= 1
            assert 0 <= part.value <= 1
        assert each.traffic.value + each.compute.value <= 1 + 1e-9


@given(st.integers(0, 5))
def test_too_few_trials_have_no_fit_and_the_reason(n: int) -> None:
    found = fit(list(tasks(20e9, 50e9))[:n])
    assert len(found) == n
    for each in found:
        assert each.traffic is None
        assert each.bound is Bound.UNDECIDED
        assert str(n) in each.reason


def test_a_task_that_counts_twice_is_one_that_is_there_twice() -> None:
    chance = np.random.default_rng(1)
    costs, times = chance.uniform(0.1, 10, (12, 3)), chance.uniform(0.1, 10, 12)
    counts = ONCE.copy()
    counts[0, :4] = [2, 0, 3, 1]
    rows = np.repeat(np.arange(12), counts[0].astype(int))
    (weighted,) = coefficients(costs, times, counts)
    (repeated,) = coefficients(costs[rows], times[rows], np.ones((1, len(rows))))
    assert weighted == pytest.approx(repeated)


def test_the_same_seed_gives_the_same_intervals() -> None:
    made = tasks(20e9, 50e9, noise=0.1)
    assert fit(made, seed=3) == fit(made, seed=3)
    assert fit(made, seed=3) != fit(made, seed=4)
