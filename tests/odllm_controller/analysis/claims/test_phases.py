"""Power of prefill against decode: by formula, and what is no evidence."""

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.claims.phases import PhasePower, phase_powers
from odllm_controller.analysis.statistics.standing import Standing
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame


def rows(ratio: float, seed: int = 0, noise: float = 0.05) -> list[formula.Row]:
    chance = np.random.default_rng(seed)

    def figures(bpw: float) -> formula.Row:
        decode_w = 8 + 0.2 * bpw
        return {
            **formula.noisy("prefill_w", decode_w * ratio, noise, chance),
            "decode_w": decode_w,
        }

    return formula.types(figures, energy_method="measured")


def made(ratio: float, noise: float = 0.05) -> pd.DataFrame:
    return frame(*rows(ratio, noise=noise))


def many(ratio: float) -> tuple[PhasePower, ...]:
    return phase_powers(frame(*formula.many(lambda seed: rows(ratio, seed))))


def only(results: pd.DataFrame) -> PhasePower:
    (found,) = phase_powers(results)
    return found


def test_the_interval_covers_the_ratio_of_the_formula() -> None:
    found = many(1.2)
    assert formula.covered(1.2, [(each.ratio_low, each.ratio_high) for each in found]) >= 93
    assert sum(each.standing is Standing.SUPPORTED for each in found) >= 93
    assert found[0].n == 8


def test_equal_watts_are_undecided() -> None:
    assert sum(each.standing is Standing.UNDECIDED for each in many(1.0)) >= 93


def test_less_power_of_prefill_contradicts() -> None:
    assert only(made(0.7)).standing is Standing.CONTRADICTED


def test_what_all_phases_of_a_trial_share_cancels() -> None:
    found = only(made(1.2, noise=0))
    assert found.ratio_low == pytest.approx(1.2)
    assert found.ratio_high == pytest.approx(1.2)


def test_estimated_watts_are_told_and_decide_nothing() -> None:
    found = only(made(1.5).assign(energy_method="estimated"))
    assert found.ratio_low is not None
    assert found.energy_method == "estimated"
    assert found.standing is Standing.UNDECIDED


def test_measured_and_estimated_watts_are_never_mixed() -> None:
    measured, estimated = made(1.5), made(0.5).assign(energy_method="estimated")
    table = pd.concat([measured[:4], estimated[4:]], ignore_index=True)
    assert [each.n for each in phase_powers(table)] == [4, 4]


def test_two_trials_have_no_interval_but_a_reason() -> None:
    found = only(made(1.5)[:2])
    assert (found.ratio_low, found.ratio_high) == (None, None)
    assert found.ratio > 1
    assert found.reason == "an interval needs 3 trials, and there are 2"
    assert found.standing is Standing.UNDECIDED


def test_trials_without_power_are_left_out() -> None:
    table = made(1.2)
    table.loc[:3, "prefill_w"] = float("nan")
    assert only(table).n == 4
    assert phase_powers(table.assign(decode_w=float("nan"))) == ()
