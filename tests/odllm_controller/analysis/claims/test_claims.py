"""The verdicts: on rows that follow from a formula, on noise, and on what is no evidence."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.claims.claims import verdicts
from odllm_controller.analysis.claims.verdict import Verdict
from odllm_controller.analysis.statistics.standing import Standing
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

SIZES: Mapping[str, float] = {"m-0.5B": 5e8, "m-1.5B": 1.5e9, "m-3B": 3e9, "m-7B": 7e9}
Figures = Callable[[float, float], formula.Row]


def made(figures: Figures, sizes: Mapping[str, float] = SIZES, **changes: object) -> pd.DataFrame:
    """Rows of several models: figures by the number of weights and the bits of each."""
    rows: list[formula.Row] = []
    for model, n_weights in sizes.items():
        given = {"n_weights": n_weights, "model": model, **changes}
        rows += formula.types(lambda bpw, n=n_weights: figures(n, bpw), formula.MANY, **given)  # type: ignore[misc, arg-type]
    return frame(*rows)


def verdict(number: int, results: pd.DataFrame) -> Verdict:
    found = verdicts(results)
    assert [each.number for each in found] == [1, 2, 3, 4, 5]
    return found[number - 1]


def noise(seed: int = 0) -> Figures:
    """Figures that hang on nothing."""
    chance = np.random.default_rng(seed)

    def figures(_: float, __: float) -> formula.Row:
        return {
            **formula.noisy("tpot_s", 0.02, 0.1, chance),
            **formula.noisy("prefill_tok_s", 300, 0.1, chance),
            **formula.noisy("peak_rss_bytes", 1e9, 0.1, chance),
            **formula.noisy("prefill_w", 10, 0.1, chance),
            **formula.noisy("decode_w", 10, 0.1, chance),
            **formula.scored("accuracy", 0.5, 0.03, chance),
            **formula.noisy("mbu", 0.5, 0.1, chance),
            **formula.noisy("decode_compute_fraction", 0.3, 0.1, chance),
        }

    return figures


def test_there_is_a_verdict_on_every_claim_of_an_empty_store() -> None:
    for each in verdicts(frame()):
        assert each.standing is Standing.UNDECIDED
        assert (each.n, each.models, each.devices) == (0, 0, 0)
        assert each.claim.endswith(".")
        assert each.evidence
        assert each.wanted


@pytest.mark.parametrize("seed", range(10))
def test_noise_without_an_effect_decides_nothing(seed: int) -> None:
    found = verdicts(made(noise(seed), energy_method="measured"))
    wrong = [each for each in found if each.standing is not Standing.UNDECIDED]
    # Of claim 3 the second half is false here: no type saves memory.
    assert [each.number for each in wrong] in ([], [3])


def linear(n_weights: float, bpw: float) -> formula.Row:
    chance = np.random.default_rng(int(n_weights + 1000 * bpw))
    s = n_weights * bpw / 8 / 2e10
    return {
        **formula.noisy("tpot_s", s + 0.001, 0.02, chance),
        **formula.noisy("prefill_tok_s", 1 / (s / 10 + 0.001), 0.02, chance),
        "peak_rss_bytes": n_weights * bpw / 8 + 4e7,
    }


def test_growth_along_a_line_supports_the_first_claim() -> None:
    found = verdict(1, made(linear))
    assert found.standing is Standing.SUPPORTED
    assert (found.n, found.models, found.devices) == (4 * len(formula.MANY), 4, 1)
    assert "Time per output token: supported in 4 of 4 lines, R2 0.9" in found.evidence
    assert "without F16" in found.evidence
    assert found.wanted == ""


def test_one_model_supports_nothing() -> None:
    one = made(linear, {"m-3B": 3e9})
    assert verdict(1, one).standing is Standing.UNDECIDED
    assert verdict(1, one).models == 1


def test_one_metric_that_does_not_grow_so_contradicts_what_is_said_of_all() -> None:
    def bent(n_weights: float, bpw: float) -> formula.Row:
        chance = np.random.default_rng(int(n_weights + 1000 * bpw))
        dear = 3 if 4 < bpw < 6 else 1
        return {
            **linear(n_weights, bpw),
            **formula.noisy("prefill_tok_s", 300 / dear, 0.02, chance),
        }

    found = verdict(1, made(bent))
    assert found.standing is Standing.CONTRADICTED
    assert "Time per output token: supported in 4" in found.evidence
    assert "Time per prompt token: contradicted in 4" in found.evidence


def laddered(turn_bpw: float, error: float = 0.003) -> pd.DataFrame:
    """Three sizes, each better than the one before from so many bits on, at equal bytes."""
    chance = np.random.default_rng(0)

    def accuracy(rank: int, bpw: float) -> float:
        if rank == 0:
            return 0.4 - 0.3 * math.exp(-bpw / 3)
        return accuracy(rank - 1, 2 * bpw) + formula.turning_at(turn_bpw, 0.3)(bpw)

    rows: list[formula.Row] = []
    for rank, model in enumerate(["m-1B", "m-2B", "m-4B"]):
        rows += formula.types(
            lambda bpw, of=rank: formula.scored("accuracy", accuracy(of, bpw), error, chance),  # type: ignore[misc]
            formula.MANY,
            2.0**rank * 1e9,
            model=model,
        )
    return frame(*rows)


def test_two_pairs_that_turn_over_at_the_papers_bits_support_the_second_claim() -> None:
    found = verdict(2, laddered(3.5))
    assert found.standing is Standing.SUPPORTED
    assert found.models == 3
    assert (
        "m-2B against m-1B at equal bytes (llama_cpp), by accuracy: better down to a threshold"
        in (found.evidence)
    )
    assert "Surely better from 4 BPW on, if not before: in 2 of 2 by accuracy" in found.evidence


def test_two_pairs_that_turn_over_elsewhere_contradict_it() -> None:
    found = verdict(2, laddered(5.2))
    assert found.standing is Standing.CONTRADICTED
    assert "in 0 of 2 by accuracy" in found.evidence


def test_a_single_pair_decides_nothing_about_a_threshold() -> None:
    results = laddered(3.5)
    found = verdict(2, results[results["model"] != "m-4B"])
    assert found.standing is Standing.UNDECIDED
    assert "better down to a threshold" in found.evidence
    assert "3.5 BPW" in found.wanted


def test_devices_that_tell_the_same_of_one_pair_are_one_pair() -> None:
    results = laddered(3.5)
    pair = results[results["model"] != "m-4B"]
    fleet = pd.concat([pair, pair.assign(device="other")], ignore_index=True)
    found = verdict(2, fleet)
    assert found.standing is Standing.UNDECIDED
    assert found.devices == 2


def thrifty(lost: float, error: float = 0.002, process_bytes: float = 1e8) -> Figures:
    def figures(n_weights: float, bpw: float) -> formula.Row:
        chance = np.random.default_rng(int(n_weights + 1000 * bpw))
        score = 0.7 if bpw > 5 else 0.7 - lost
        return {
            **formula.scored("accuracy", score, error, chance),
            "peak_rss_bytes": n_weights * bpw / 8 + process_bytes,
        }

    return figures


def test_little_lost_and_much_saved_supports_the_third_claim() -> None:
    found = verdict(3, made(thrifty(0.005)))
    assert found.standing is Standing.SUPPORTED
    assert found.models == 4
    assert "points, known to ±" in found.evidence
    assert "peak memory by" in found.evidence


def test_much_lost_contradicts_it() -> None:
    assert verdict(3, made(thrifty(0.1))).standing is Standing.CONTRADICTED


def test_too_few_questions_leave_it_undecided() -> None:
    found = verdict(3, made(thrifty(0.005, error=0.03)))
    assert found.standing is Standing.UNDECIDED
    assert "2 points" in found.wanted


def test_models_that_the_process_outweighs_cannot_tell_of_memory() -> None:
    found = verdict(3, made(thrifty(0.005, process_bytes=1e11)))
    assert found.standing is Standing.UNDECIDED
    assert "Of 4 models the weights fill less than half of the process's memory" in found.evidence


def powered(ratio: float) -> Figures:
    def figures(n_weights: float, bpw: float) -> formula.Row:
        chance = np.random.default_rng(int(n_weights + 1000 * bpw))
        decode_w = formula.noisy("decode_w", 9, 0.02, chance)
        bounds = {"prefill_bound": "compute", "bound": "traffic"}
        return {**decode_w, **formula.noisy("prefill_w", 9 * ratio, 0.02, chance), **bounds}

    return figures


@pytest.mark.parametrize(
    ("ratio", "standing"), [(1.2, Standing.SUPPORTED), (0.8, Standing.CONTRADICTED)]
)
def test_measured_watts_decide_the_fourth_claim(ratio: float, standing: Standing) -> None:
    found = verdict(4, made(powered(ratio), energy_method="measured"))
    assert found.standing is standing
    assert f"{standing} in 4 of 4 models: {ratio:.1f}"[:-1] in found.evidence
    n = 4 * len(formula.MANY)
    assert f"computation in {n}, decode by memory traffic in {n} of {n} trials" in found.evidence


def test_estimated_watts_are_told_and_decide_nothing() -> None:
    found = verdict(4, made(powered(1.5), energy_method="estimated"))
    assert found.standing is Standing.UNDECIDED
    assert (found.n, found.models) == (0, 0)
    assert "Watts of 4 models are estimated, and decide nothing." in found.evidence


def test_without_watts_the_reason_is_told() -> None:
    found = verdict(4, made(linear, energy_reason="no powercap here"))
    assert found.evidence == "No power was measured: no powercap here."


def shifting(gain: float) -> Figures:
    """Reading takes less and computing more as models shrink, by so much a tenth."""

    def figures(n_weights: float, bpw: float) -> formula.Row:
        chance = np.random.default_rng(int(n_weights + 1000 * bpw))
        off = gain * (math.log10(n_weights) - 9.5)
        return {
            **formula.noisy("mbu", 0.5 + off, 0.01, chance),
            **formula.noisy("decode_compute_fraction", 0.5 - off, 0.01, chance),
        }

    return figures


@pytest.mark.parametrize(
    ("gain", "standing", "direction"),
    [
        (0.2, Standing.SUPPORTED, "from memory traffic to computation (1 of 1)"),
        (-0.2, Standing.CONTRADICTED, "from computation to memory traffic (1 of 1)"),
        (0.0, Standing.UNDECIDED, "neither surely"),
    ],
)
def test_the_fifth_claim_tells_which_version_of_the_paper_the_data_show(
    gain: float, standing: Standing, direction: str
) -> None:
    found = verdict(5, made(shifting(gain)))
    assert found.standing is standing
    assert "text of September 2025" in found.evidence
    assert "its later version" in found.evidence
    assert found.evidence.endswith(f"These data show: {direction}.")


def test_too_few_sizes_are_told_with_their_shares() -> None:
    found = verdict(5, made(shifting(0.2), {"m-3B": 3e9, "m-7B": 7e9}))
    assert found.standing is Standing.UNDECIDED
    assert "and there are 2. Reading and computing take, of decode's time: m-3B " in found.evidence
    assert "m-7B 57 % and 43 %." in found.evidence


def test_simulated_devices_are_no_evidence() -> None:
    found = verdict(1, made(linear, device_kind="simulated"))
    assert found.standing is Standing.UNDECIDED
    assert found.n == 0


def test_virtual_devices_are_named() -> None:
    found = verdict(1, made(linear, device_kind="virtual", device="half (virtual)"))
    assert found.standing is Standing.SUPPORTED
    assert found.evidence.endswith("Parts of one machine, not machines: half (virtual).")


def test_the_answer_does_not_change_when_asked_twice() -> None:
    results = laddered(3.5)
    assert verdicts(results) == verdicts(results)
