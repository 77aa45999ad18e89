"""Where the bottleneck moves: by formula, and what is no evidence."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.bounds.bottleneck import Direction, Shift, shifts
from odllm_controller.analysis.statistics.standing import Standing
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

SIZES = {"m-0.5B": 5e8, "m-1.5B": 1.5e9, "m-3B": 3e9, "m-7B": 7e9, "m-14B": 1.4e10}
Share = Callable[[float], float]


def sizes(
    traffic: Share, compute: Share, seed: int = 0, noise: float = 0.02, n: int = 5
) -> list[formula.Row]:
    """Shares of decode's time by the logarithm of ten of the weights, off by a part of one."""
    chance = np.random.default_rng(seed)
    rows: list[formula.Row] = []
    for model, n_weights in list(SIZES.items())[:n]:
        tens = math.log10(n_weights)
        off = noise * chance.standard_normal(2)
        shares = {"mbu": traffic(tens) + off[0], "decode_compute_fraction": compute(tens) + off[1]}
        rows += formula.types(lambda _, told=shares: told, n_weights=n_weights, model=model)  # type: ignore[misc]
    return rows


def made(traffic: Share, compute: Share, n: int = 5) -> pd.DataFrame:
    return frame(*sizes(traffic, compute, n=n))


def many(
    traffic: Share, compute: Share, noise: float = 0.02, seeds: int = 100
) -> tuple[Shift, ...]:
    return shifts(frame(*formula.many(lambda seed: sizes(traffic, compute, seed, noise), seeds)))


def only(results: pd.DataFrame) -> Shift:
    (found,) = shifts(results)
    return found


def falling(tens: float) -> float:
    """A share that gains 20 points as models shrink to a tenth."""
    return 0.5 - 0.2 * (tens - 9.5)


def rising(tens: float) -> float:
    return 0.5 + 0.2 * (tens - 9.5)


def flat(_: float) -> float:
    return 0.5


@pytest.mark.parametrize(
    ("traffic", "compute", "direction", "standing"),
    [
        (rising, falling, Direction.TO_COMPUTE, Standing.SUPPORTED),
        (flat, falling, Direction.TO_COMPUTE, Standing.SUPPORTED),
        (falling, rising, Direction.TO_TRAFFIC, Standing.CONTRADICTED),
        (falling, flat, Direction.TO_TRAFFIC, Standing.CONTRADICTED),
        (rising, rising, Direction.TO_NEITHER, Standing.CONTRADICTED),
        (falling, falling, Direction.UNDECIDED, Standing.UNDECIDED),
        (flat, flat, Direction.UNDECIDED, Standing.UNDECIDED),
        (rising, flat, Direction.UNDECIDED, Standing.UNDECIDED),
    ],
)
def test_the_direction_follows_both_shares(
    traffic: Share, compute: Share, direction: Direction, standing: Standing
) -> None:
    found = many(traffic, compute, noise=0.01, seeds=15)
    assert sum(each.direction is direction for each in found) >= 14
    assert sum(each.standing is standing for each in found) >= 14


def test_the_intervals_cover_what_the_formula_gains() -> None:
    found = many(rising, falling)
    assert formula.covered(-0.2, [(each.traffic_low, each.traffic_high) for each in found]) >= 93
    assert formula.covered(0.2, [(each.compute_low, each.compute_high) for each in found]) >= 93


def test_noise_without_an_effect_is_undecided() -> None:
    found = many(flat, flat, noise=0.1)
    assert sum(each.standing is Standing.UNDECIDED for each in found) >= 93


def test_each_model_has_its_mean_shares_from_small_to_large() -> None:
    found = only(made(rising, falling))
    assert found.reading == pytest.approx([rising(math.log10(n)) for n in SIZES.values()], abs=0.1)
    assert found.computing[0] > found.computing[-1]


def test_types_are_no_models() -> None:
    found = only(made(rising, falling, n=3))
    assert (found.traffic, found.direction) == (None, Direction.UNDECIDED)
    assert found.n == 24
    assert found.reason == (
        "it takes 4 sizes of models of 64 MB or more at a type in common, and there are 3"
    )


def test_only_types_that_all_models_have_are_compared() -> None:
    results = made(rising, falling)
    lacking = (results["model"] == "m-14B") & (results["quantization"] == "F16")
    found = only(results[~lacking])
    assert "F16" not in found.types
    assert found.n == 5 * 7
    assert found.models == tuple(SIZES)


def test_files_that_a_cache_may_hold_are_left_out() -> None:
    results = made(rising, falling)
    found = only(results.assign(file_bytes=results["file_bytes"] / 1000))
    assert (found.n, found.models) == (0, ())
    assert found.reason


def test_without_ceilings_there_is_nothing_to_tell() -> None:
    results = made(rising, falling)
    assert shifts(results.assign(mbu=float("nan"))) == ()
