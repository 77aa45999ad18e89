"""Residuals by family: what was put there is found, and no more."""

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.matching.families import TypeFamily, family
from odllm_controller.analysis.scaling.curves import FITTED
from odllm_controller.analysis.scaling.residuals import Residual, residuals
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

(TPOT,) = (metric for metric in FITTED if metric.name == "tpot_s")
(KLD,) = (metric for metric in FITTED if metric.name == "kld")
BPW_OF = {bpw: kind for kind, bpw in formula.MANY.items()}


def rows(seed: int, dearer: float, noise: float = 0.02) -> list[formula.Row]:
    """Time per token, of K-quants some share more."""
    chance = np.random.default_rng(seed)

    def figures(bpw: float) -> formula.Row:
        share = dearer if family(BPW_OF[bpw]) is TypeFamily.K_QUANTS else 0
        return formula.noisy("tpot_s", (0.004 + 0.002 * bpw) * (1 + share), noise, chance)

    return formula.types(figures, formula.MANY)


def made(dearer: float) -> pd.DataFrame:
    return frame(*rows(0, dearer))


def by_family(results: pd.DataFrame) -> dict[TypeFamily, Residual]:
    return {each.family: each for each in residuals(results, [TPOT])}


def test_a_dearer_family_lies_above_the_line_and_the_other_below() -> None:
    found = by_family(made(dearer=0.2))
    assert set(found) == {TypeFamily.K_QUANTS, TypeFamily.LEGACY}, (
        "F16 is no family on its own line"
    )
    above, below = found[TypeFamily.K_QUANTS], found[TypeFamily.LEGACY]
    assert (above.n, below.n) == (9, 5)
    assert above.mean is not None
    assert below.mean is not None
    assert above.mean - below.mean == pytest.approx(0.18, abs=0.05)
    assert above.is_sure
    assert below.is_sure
    assert above.relative


def test_families_that_cost_the_same_are_rarely_told_apart() -> None:
    found = residuals(frame(*formula.many(lambda seed: rows(seed, 0))), [TPOT])
    assert len(found) == 200
    assert sum(not each.is_sure for each in found) >= 186


def test_a_single_type_has_a_mean_and_no_interval() -> None:
    results = made(0.2)
    kept = results[results["quantization"].isin(["Q8_0", "Q2_K", "Q3_K_M", "Q4_K_M"])]
    found = by_family(kept)[TypeFamily.LEGACY]
    assert found.mean is not None
    assert (found.n, found.low, found.high) == (1, None, None)
    assert found.reason == "an interval needs 2 types, and there is 1"
    assert not found.is_sure


def test_without_a_line_there_is_no_residual_but_a_reason() -> None:
    results = made(0.2)
    (found,) = residuals(results[results["quantization"].isin(["Q2_K", "Q3_K_M"])], [TPOT])
    assert (found.mean, found.low) == (None, None)
    assert found.reason == "a line needs 3 types of different BPW, and there are 2"


def test_the_residual_of_a_score_is_in_its_own_unit() -> None:
    results = made(0).assign(kld=[0.1 * place for place in range(len(formula.MANY))])
    found = residuals(results, [KLD])
    assert found
    assert not any(each.relative for each in found)


def test_only_f16_has_no_residuals() -> None:
    results = made(0)
    assert residuals(results[results["quantization"] == "F16"], [TPOT]) == ()
