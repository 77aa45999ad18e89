"""What a device would do, where it follows from a formula what it does."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.advice import objective
from odllm_controller.analysis.advice.advice import Question, advise
from odllm_controller.analysis.prediction import PREDICTED, Facts, predict
from odllm_controller.metrics import metric
from tests.odllm_controller.analysis.offers import alike

PROMPT_TOKENS = 128
MODELS = {"small": 5e8, "large": 3e9}
BITS = {"Q8_0": 8.5, "Q4_0": 4.5, "Q2_K": 3.0}
CONFIGURATIONS = tuple(itertools.product(MODELS, BITS))
VERSION = "0.3.34"
Speeds = tuple[float, float]


def ceilings(device: str, speeds: Speeds, threads: int = 2) -> list[dict[str, object]]:
    bandwidth, operations_per_s = speeds
    per_s = {"read": bandwidth, **dict.fromkeys(BITS, operations_per_s)}
    return [
        {
            "device": device,
            "device_kind": "real",
            "device_id": f"id-of-{device}",
            "engine": "llama_cpp",
            "engine_version": VERSION,
            "engine_build": "",
            "threads": threads,
            "type": name,
            "per_s": value,
        }
        for name, value in per_s.items()
    ]


# So many operations that a token is always bounded by reading.
SLOW, FAST = (20e9, 400e9), (60e9, 2000e9)
CEILINGS = pd.DataFrame([*ceilings("slow", SLOW), *ceilings("fast", FAST)])


def costs(model: str, kind: str) -> tuple[float, float]:
    """What a token reads and computes."""
    return MODELS[model] * BITS[kind] / 8, 2 * MODELS[model]


def rows(device: str, speeds: Speeds, chance: np.random.Generator, noise: float) -> pd.DataFrame:
    """Decode at 60 % and prefill at 40 % of the ceilings, as far as noise lets them."""
    bandwidth, operations_per_s = speeds
    told = [costs(*each) for each in CONFIGURATIONS]
    read_s = np.array([read / bandwidth for read, _ in told])
    compute_s = np.array([PROMPT_TOKENS * each / operations_per_s for _, each in told])
    tpot_s = read_s / 0.6 * np.exp(noise * chance.standard_normal(len(told)))
    prefill_s = compute_s / 0.4 * np.exp(noise * chance.standard_normal(len(told)))
    return alike(len(told)).assign(
        trial_id=[f"{device}-{place}" for place in range(len(told))],
        device=device,
        device_id=f"id-of-{device}",
        engine_version=VERSION,
        engine_build=None,
        model=[model for model, _ in CONFIGURATIONS],
        quantization=[kind for _, kind in CONFIGURATIONS],
        tpot_s=tpot_s,
        decode_tok_s=1 / tpot_s,
        prefill_tok_s=PROMPT_TOKENS / prefill_s,
        ttft_s=prefill_s,
        peak_rss_bytes=1e9,
        accuracy=0.5,
    )


def work(trials: Sequence[str]) -> pd.DataFrame:
    found = []
    for trial in trials:
        model, kind = CONFIGURATIONS[int(trial.rpartition("-")[2])]
        read_bytes, operations = costs(model, kind)
        for phase, times in (("decode", 1), ("prefill", PROMPT_TOKENS)):
            found.append((trial, phase, kind, read_bytes, operations * times))
    return pd.DataFrame(found, columns=["trial_id", "phase", "type", "read_bytes", "operations"])


def both(seed: int = 0, noise: float = 0.1) -> tuple[pd.DataFrame, Facts]:
    chance = np.random.default_rng(seed)
    found = pd.concat(
        [rows("slow", SLOW, chance, noise), rows("fast", FAST, chance, noise)], ignore_index=True
    )
    return found, Facts(work(found["trial_id"].tolist()), CEILINGS)


def test_a_device_that_was_not_measured_is_predicted_from_its_ceilings() -> None:
    found, facts = both(noise=0.001)
    slow = found[found["device"] == "slow"]
    got = predict(slow, facts, "id-of-fast").set_index(["model", "quantization"])
    assert len(got) == len(CONFIGURATIONS)
    truth = found[found["device"] == "fast"].set_index(["model", "quantization"])
    for name in ("decode_tok_s", "prefill_tok_s", "ttft_s", "tpot_s"):
        assert got[name].to_numpy(float) == pytest.approx(
            truth.loc[got.index, name].to_numpy(float), rel=0.01
        )
    assert set(got["status"]) == {PREDICTED}
    assert set(got["device"]) == {"fast"}
    assert (got["repeats"] == 0).all()


def test_the_margins_hold_a_trial_that_was_left_out() -> None:
    hits = []
    for seed in range(100):
        found, facts = both(seed)
        left_out = found["trial_id"] == f"fast-{seed % len(CONFIGURATIONS)}"
        (got,) = predict(found[~left_out], facts, "id-of-fast").to_dict("records")
        (truth,) = found[left_out].to_dict("records")
        assert (got["model"], got["quantization"]) == CONFIGURATIONS[seed % len(CONFIGURATIONS)]
        hits.append(
            [
                got[f"{name}_low"] <= truth[name] <= got[f"{name}_high"]
                for name in ("decode_tok_s", "prefill_tok_s")
            ]
        )
    assert np.mean(hits, axis=0).min() >= 0.93


def test_the_margin_is_no_wider_than_it_must_be() -> None:
    found, facts = both()
    got = predict(found[found["trial_id"] != "fast-0"], facts, "id-of-fast").iloc[0]
    width = math.log(got["decode_tok_s_high"] / got["decode_tok_s_low"])
    # Three trials of its type elsewhere: t of two degrees is 4.3.
    assert width < 2 * 4.31 * 0.3


def test_what_was_measured_is_not_predicted() -> None:
    found, facts = both()
    assert predict(found, facts, "id-of-fast").empty
    other = found.assign(threads=float("nan"))
    assert predict(other, facts, "id-of-fast").empty, "threads that nobody told"


def test_other_threads_of_a_device_are_predicted_by_their_own_ceilings() -> None:
    found, facts = both(noise=0.001)
    more = pd.DataFrame(ceilings("slow", (40e9, 1600e9), threads=4))
    facts = Facts(facts.work, pd.concat([facts.ceilings, more], ignore_index=True))
    got = predict(found, facts, "id-of-slow")
    assert set(got["threads"]) == {4}
    assert set(got["configuration"]) == {"llama_cpp, 4 threads"}
    slow = found[found["device"] == "slow"].set_index(["model", "quantization"])
    twice = got.set_index(["model", "quantization"])["decode_tok_s"] / slow["decode_tok_s"]
    assert twice.to_numpy(float) == pytest.approx(2, rel=0.01)


def test_without_a_ceiling_of_its_type_nothing_is_predicted() -> None:
    found, facts = both()
    slow = found[found["device"] == "slow"]
    known = facts.ceilings[
        (facts.ceilings["type"] != "Q4_0") | (facts.ceilings["device"] == "slow")
    ]
    got = predict(slow, Facts(facts.work, known), "id-of-fast")
    assert set(got["quantization"]) == {"Q8_0", "Q2_K"}
    assert predict(slow, Facts(facts.work, known), "id-of-nobody").empty


def test_two_trials_are_too_few_to_predict_from() -> None:
    found, facts = both()
    slow = found[found["device"] == "slow"]
    assert predict(slow.head(2), facts, "id-of-fast").empty
    assert len(predict(slow.head(3), facts, "id-of-fast")) == 3


def test_what_does_not_depend_on_speed_is_kept_and_energy_is_not_known() -> None:
    found, facts = both()
    got = predict(found[found["device"] == "slow"], facts, "id-of-fast").iloc[0]
    assert (got["peak_rss_bytes"], got["accuracy"]) == (1e9, 0.5)
    assert pd.isna(got["mean_w"])
    assert got["energy_reason"].startswith("energy is not predicted")
    assert "trials on 1 device" in got["prediction"]


def test_an_answer_from_predictions_is_marked_and_rests_on_nothing_else() -> None:
    found, facts = both()
    slow = found[found["device"] == "slow"]
    aim = objective.parse("speed", slow)
    (measured,) = advise(slow, Question(aim))
    assert not measured.predicted
    (answer,) = advise(predict(slow, facts, "id-of-fast"), Question(aim))
    assert answer.predicted
    assert answer.turning is None
    first = answer.choices[0]
    assert (first.model, first.quantization) == ("small", "Q2_K")
    assert first.prediction.startswith("decode at ")
    (speed,) = (each for each in first.figures if each.metric == metric("decode_tok_s").name)
    assert speed.low is not None
    assert speed.low < speed.value
