"""A drift of a device's speed, made up and in the store."""

import math
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_controller.analysis.claims.drift import Drift, DriftVerdict, Point, change, drift, load
from tests import stores, support


def run_of(
    seed: int, per_hour: float = 0.0, noise: float = 0.02, n_trials: int = 24, n_rounds: int = 3
) -> list[list[Point]]:
    """Rounds of shuffled order, two minutes a trial, on a device that changes by the hour."""
    chance = random.Random(seed)
    trials: list[list[Point]] = [[] for _ in range(n_trials)]
    hour = 0.0
    for _ in range(n_rounds):
        for trial in chance.sample(range(n_trials), n_trials):
            usual = 10.0 * (trial + 1)
            speed = usual * (1 + per_hour * hour) * chance.lognormvariate(0, noise)
            trials[trial].append((hour, speed))
            hour += 1 / 30
    return trials


def test_noise_is_hardly_ever_taken_for_a_drift() -> None:
    verdicts = [drift("laptop", run_of(seed)).verdict for seed in range(100)]
    assert verdicts.count(DriftVerdict.DRIFT) <= 7


def test_noise_with_a_tail_and_few_rounds_is_not_either() -> None:
    found = [drift("laptop", run_of(seed, noise=0.3, n_rounds=2)) for seed in range(100)]
    assert [each.verdict for each in found].count(DriftVerdict.DRIFT) <= 7


@pytest.mark.parametrize("per_hour", [-0.05, 0.05])
def test_a_drift_is_found_with_its_size(per_hour: float) -> None:
    found = [drift("laptop", run_of(seed, per_hour)) for seed in range(100)]
    assert [each.verdict for each in found].count(DriftVerdict.DRIFT) >= 93
    of_the_median = per_hour / (1 + per_hour * found[0].hours / 2)
    hits = [(each.low or 0) <= of_the_median <= (each.high or 0) for each in found]
    assert sum(hits) >= 90


def test_a_quiet_device_is_told_to_have_none() -> None:
    found = [drift("laptop", run_of(seed, noise=0.003)).verdict for seed in range(50)]
    assert set(found) == {DriftVerdict.NONE_SEEN}


def test_a_change_too_small_to_matter_is_none_however_sure_it_is() -> None:
    found = drift("laptop", run_of(1, per_hour=-0.003, noise=1e-5))
    assert (found.high or 0) < 0
    assert found.verdict is DriftVerdict.NONE_SEEN


def test_much_noise_leaves_it_undecided() -> None:
    found = drift("laptop", run_of(1, noise=0.3, n_trials=4))
    assert found.low is not None
    assert found.verdict is DriftVerdict.UNDECIDED


def test_one_disturbed_round_is_no_drift() -> None:
    trials = run_of(3, noise=0.001)
    trials[0][-1] = (trials[0][-1][0], trials[0][-1][1] / 10)
    assert drift("laptop", trials).verdict is DriftVerdict.NONE_SEEN


@pytest.mark.parametrize("trials", [[[(0.0, 5.0)]], [[(0.0, 5.0)], [(0.1, 9.0)]]])
def test_what_was_measured_once_tells_nothing(trials: list[list[Point]]) -> None:
    found = drift("laptop", trials)
    assert (found.slope, found.low, found.verdict) == (None, None, DriftVerdict.UNDECIDED)


@pytest.mark.parametrize("seed", range(5))
def test_no_speed_is_told_to_have_fallen_by_more_than_all_of_it(seed: int) -> None:
    """Rounds that wander a hundredfold in a run of minutes."""
    found = drift("laptop", run_of(seed, noise=2.0, n_trials=3))
    assert found.low is not None
    assert -1 < change(found.low, found.hours) < -0.9


def test_few_pairs_have_a_slope_but_no_interval() -> None:
    found = drift("laptop", [[(0.0, 100.0), (1.0, 90.0), (2.0, 80.0)]])
    assert found.slope == pytest.approx(math.log(80 / 100) / 2)
    assert (found.low, found.high, found.verdict) == (None, None, DriftVerdict.UNDECIDED)


@given(st.integers(0, 1000), st.floats(0.001, 1000))
def test_how_fast_a_trial_is_does_not_matter(seed: int, factor: float) -> None:
    trials = run_of(seed, n_trials=5)
    scaled = [[(hour, factor * speed) for hour, speed in rounds] for rounds in trials]
    assert drift("laptop", scaled).slope == pytest.approx(drift("laptop", trials).slope)


def test_the_rounds_of_one_run_are_read_from_the_store(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    trials = [support.trial(threads=n) for n in (1, 2, 3, 4)]
    store.add_plan("run-1", trials, rounds=3)
    for index in range(3):
        for trial in trials:
            started_at = support.STARTED + timedelta(hours=index)
            repeats = tuple(
                support.repeat(i, token_s=0.01 * 1.1**index, started_at=started_at) for i in (1, 2)
            )
            result = support.round_result(trial, index, repeats)
            store.add_round("run-1", replace(result, started_at=started_at))
    (found,) = load(store.path, "run-1")
    assert found == Drift("laptop", 2.0, found.slope, found.low, found.high)
    assert found.slope == pytest.approx(-0.1, abs=0.01)
    assert found.verdict is DriftVerdict.DRIFT
    assert load(store.path, "run-2") == ()
