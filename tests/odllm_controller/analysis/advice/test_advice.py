"""Answers that are known beforehand, by hand, by properties and over many seeds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_controller.analysis.advice import limits, objective, wording
from odllm_controller.analysis.advice.advice import Advice, Question, advise
from odllm_controller.analysis.advice.choice import ChoiceFigure
from odllm_controller.analysis.advice.limits import Limit
from odllm_controller.metrics import metric
from tests.odllm_controller.analysis.offers import (
    alike,
    asked,
    noisy,
    offer,
    offers,
    scored,
)

ROWS = offers(
    offer("small", decode_tok_s=(100, 0.01), peak_rss_bytes=1e9, **scored("accuracy", 0.5, 0.001)),
    offer("middle", decode_tok_s=(50, 0.01), peak_rss_bytes=2e9, **scored("accuracy", 0.6, 0.001)),
    offer("large", decode_tok_s=(20, 0.01), peak_rss_bytes=4e9, **scored("accuracy", 0.7, 0.001)),
    offer("bad", decode_tok_s=(10, 0.01), peak_rss_bytes=5e9, **scored("accuracy", 0.4, 0.001)),
)


def question(rows: pd.DataFrame, aim: str = "quality", **bounds: str) -> Question:
    return Question(objective.parse(aim, rows), tuple(map(limit, bounds.items())))


def limit(bound: tuple[str, str]) -> Limit:
    name, text = bound
    return limits.parse(text, metric(name))


def answer(rows: pd.DataFrame = ROWS, aim: str = "quality", **bounds: str) -> Advice:
    (found,) = advise(rows, question(rows, aim, **bounds))
    return found


def models(found: Advice) -> list[str]:
    return [choice.model for choice in found.choices]


def figure(found: Advice, name: str) -> ChoiceFigure:
    (told,) = (each for each in found.choices[0].figures if each.metric == name)
    return told


def test_the_best_that_meets_the_limits_comes_first() -> None:
    assert models(answer()) == ["large", "middle", "small"]
    assert models(answer(memory="3GB")) == ["middle", "small"]
    assert models(answer(speed="60")) == ["small"]
    assert models(answer(aim="speed", memory="3GB")) == ["small", "middle"]
    assert models(answer(aim="memory")) == ["small", "middle", "large"]


def test_a_bound_itself_meets_the_limit() -> None:
    assert models(answer(memory="2GB"))[0] == "middle"


def test_what_is_clear_is_sure() -> None:
    found = answer(memory="3GB")
    assert found.choices[0].best == pytest.approx(1)
    assert found.choices[0].meets == pytest.approx(1)
    assert found.turning is None


def test_a_choice_has_its_figures_with_intervals_and_limits() -> None:
    found = answer(memory="3GB", speed="30")
    decode, memory = figure(found, "decode_tok_s"), figure(found, "peak_rss_bytes")
    assert (decode.value, decode.limit, decode.meets) == (50, 30, "yes")
    assert decode.low == pytest.approx(50 / 1.0198, rel=1e-3)
    assert (memory.low, memory.high, memory.chance) == (None, None, 1.0)
    assert figure(found, "accuracy").limit is None


def test_a_figure_that_meets_a_limit_only_within_its_interval_is_likely() -> None:
    rows = offers(offer("a", decode_tok_s=(52, 0.1), accuracy=0.5))
    found = answer(rows, speed="50")
    decode = figure(found, "decode_tok_s")
    assert decode.meets == "likely"
    assert decode.chance == pytest.approx(0.6525, abs=0.001), "z = ln(52 / 50) / 0.1"
    assert found.choices[0].meets == pytest.approx(decode.chance)


def test_a_limit_that_costs_something_says_what_and_how_far_to_relax_it() -> None:
    memory, speed = answer(memory="1.5GB", speed="15").costs
    assert memory.nearest is not None
    assert memory.best is not None
    assert (memory.nearest.choice.model, memory.nearest.bound) == ("middle", 2e9)
    assert memory.nearest.factor == pytest.approx(2 / 1.5)
    assert memory.nearest.gain == pytest.approx(0.6 / 0.5)
    assert (memory.best.choice.model, memory.best.bound) == ("large", 4e9)
    assert (speed.nearest, speed.best) == (None, None), "relaxing it alone changes nothing"


def test_the_gain_of_what_is_better_when_lower_is_above_one() -> None:
    (speed,) = answer(aim="memory", speed="40").costs
    assert speed.nearest is None
    rows = ROWS.assign(decode_tok_s=[20.0, 50.0, 100.0, 10.0])
    (speed,) = answer(rows, aim="memory", speed="40").costs
    assert speed.nearest is not None
    assert speed.nearest.choice.model == "small"
    assert speed.nearest.gain == pytest.approx(2)


def test_a_single_limit_to_blame_is_named_with_what_would_do() -> None:
    found = answer(memory="1.5GB", speed="500")
    assert found.choices == ()
    assert found.blame == (
        "nothing meets all limits; Decode speed at least 500 tok/s alone rules everything out"
    )
    assert found.closest is not None
    assert found.closest.model == "small"
    speed = found.costs[1]
    assert speed.nearest is not None
    assert (speed.nearest.choice.model, speed.nearest.bound) == ("small", 100)
    assert speed.nearest.gain is None


def test_limits_that_exclude_each_other_are_blamed_together() -> None:
    found = answer(memory="1.5GB", accuracy="65%", speed="90")
    assert found.blame.startswith("nothing meets all limits; Accuracy")
    found = answer(memory="1.5GB", accuracy="65%", ttft_s="1s")
    assert found.blame == "nothing can be compared: Time to first token: not measured yet"
    rows = ROWS.assign(ttft_s=[3.0, 2.0, 2.0, 1.0])
    found = answer(rows, memory="1.9GB", ttft_s="1.9s", accuracy="65%")
    assert found.blame.startswith("no limit alone is to blame: what comes nearest misses")
    assert found.closest is not None
    assert found.closest.model == "middle"


def test_limits_that_nothing_meets_whatever_the_others_are() -> None:
    found = answer(memory="1GB", speed="500", accuracy="90%")
    assert found.blame == (
        "nothing meets Decode speed at least 500 tok/s nor "
        "Accuracy, mean over tasks at least 90.0 %, whatever the other limits are"
    )


def test_what_has_no_figure_is_set_aside_with_the_reason() -> None:
    rows = offers(
        offer("a", decode_tok_s=10.0, accuracy=0.5),
        offer("b", decode_tok_s=20.0, accuracy_reason="its weights are random"),
        offer("c", decode_tok_s=20.0, accuracy_reason="its weights are random"),
        offer("d", repeats=0, status="failed"),
        offer("e", repeats=0, status="skipped"),
    )
    found = answer(rows)
    assert models(found) == ["a"]
    assert [(aside.n, aside.reason) for aside in found.asides] == [
        (2, "Accuracy, mean over tasks: its weights are random"),
        (1, "failed, see `odllm explore`"),
        (1, "cannot run, see `odllm explore`"),
    ]


def test_power_that_nobody_measured_is_told_and_answers_nothing() -> None:
    rows = ROWS.assign(energy_reason="no powercap here")
    found = answer(rows, power="15W")
    assert (found.choices, found.closest) == ((), None)
    assert found.blame == "nothing can be compared: Mean power: no powercap here"


def test_accuracies_over_other_tasks_are_not_compared() -> None:
    rows = offers(
        offer("a", **asked(one=0.5, two=0.6)),
        offer("b", **asked(one=0.6, two=0.6)),
        offer("c", **asked(one=0.9)),
    )
    found = answer(rows)
    assert models(found) == ["b", "a"]
    assert found.asides[0].reason.endswith("its figure is over one, those of others over one, two")


def test_devices_and_workloads_get_answers_of_their_own() -> None:
    other = ROWS.assign(device="other", device_kind="simulated", accuracy=[0.9, 0.1, 0.1, 0.1])
    rows = pd.concat([ROWS, other], ignore_index=True)
    first, second = advise(rows, question(rows))
    assert (first.device, models(first)[0]) == ("laptop", "large")
    assert (second.device, second.device_kind, models(second)[0]) == (
        "other",
        "simulated",
        "small",
    )
    assert any("nothing was measured" in note for note in second.notes)
    assert not any("simulated" in note for note in first.notes)


def test_a_last_round_that_failed_is_told() -> None:
    rows = ROWS.assign(status=["failed", "done", "done", "done"])
    assert any("the last round of 1 of them failed" in note for note in answer(rows).notes)


def test_figures_without_spread_are_told() -> None:
    assert "taken as known, since it has no interval: peak memory" in answer(memory="3GB").notes


def test_between_equals_the_faster_one_comes_first() -> None:
    rows = offers(
        offer("a", decode_tok_s=10.0, accuracy=0.5),
        offer("a", decode_tok_s=30.0, accuracy=0.5),
        offer("a", decode_tok_s=20.0, accuracy=0.5),
    )
    found = answer(rows)
    speeds = [each.figures[1].value for each in found.choices]
    assert speeds == [30, 20, 10]
    assert found.choices[0].best == pytest.approx(1)


def test_configurations_of_one_file_share_the_draws_of_its_score() -> None:
    quality = scored("accuracy", 0.5, 0.05)
    rows = offers(
        offer("a", decode_tok_s=30.0, **quality),
        offer("a", decode_tok_s=20.0, **quality),
        offer("b", decode_tok_s=10.0, **scored("accuracy", 0.5, 0.05)),
    )
    first, second, third = answer(rows).choices
    assert second.best == 0, "it is as good as the first whatever its file is worth, but slower"
    assert first.best == pytest.approx(0.5, abs=0.04)
    assert third.best == pytest.approx(0.5, abs=0.04)


def test_what_to_measure_next_is_the_figure_that_would_change_the_answer() -> None:
    rows = offers(
        offer("a", decode_tok_s=(50, 0.01), rounds=3),
        offer("b", decode_tok_s=(49, 0.20), rounds=3),
        offer("c", decode_tok_s=(30, 0.01), rounds=3),
    )
    found = answer(rows, aim="speed").turning
    assert found is not None
    assert (found.model, found.metric, found.rounds) == ("b", "decode_tok_s", 3)
    assert found.chance == pytest.approx(0.46, abs=0.01), "z = ln(50 / 49) / 0.2"


def test_a_limit_that_the_first_may_miss_is_what_to_measure_next() -> None:
    rows = offers(
        offer("a", decode_tok_s=(52, 0.1), **scored("accuracy", 0.7, 0.001)),
        offer("b", decode_tok_s=(90, 0.1), **scored("accuracy", 0.5, 0.001)),
    )
    found = answer(rows, speed="50").turning
    assert found is not None
    assert (found.model, found.metric) == ("a", "decode_tok_s")
    assert found.chance == pytest.approx(1 - 0.6525, abs=0.001)


def test_one_that_may_meet_the_limits_after_all_is_what_to_measure_next() -> None:
    rows = offers(
        offer("a", decode_tok_s=(48, 0.1), **scored("accuracy", 0.7, 0.001)),
        offer("b", decode_tok_s=(90, 0.1), **scored("accuracy", 0.5, 0.001)),
    )
    found = answer(rows, speed="50")
    assert models(found) == ["b"]
    assert found.turning is not None
    assert found.turning.model == "a"
    assert found.choices[0].best == pytest.approx(0.6585, abs=0.03)


def test_a_sure_limit_changes_nothing_between_equals() -> None:
    quality = scored("accuracy", 0.5, 0.05)
    rows = offers(
        offer("a", decode_tok_s=(30, 0.1), **quality),
        offer("a", decode_tok_s=(29, 0.1), **quality),
    )
    assert answer(rows, speed="5").turning is None


def test_a_first_choice_without_interval_is_what_to_measure_next() -> None:
    rows = offers(offer("a", decode_tok_s=50.0), offer("b", decode_tok_s=40.0))
    found = answer(rows, aim="speed").turning
    assert found is not None
    assert (found.model, found.chance) == ("a", None)


def test_the_first_is_the_best_as_often_as_it_is_said_to_be() -> None:
    """Truths lie much further apart than they are known, so that nothing is known beforehand."""
    chance = np.random.default_rng(0)
    told, right = [], []
    for seed in range(200):
        truths = [{"decode_tok_s": 50 * float(np.exp(0.2 * z))} for z in chance.normal(size=4)]
        found = answer(noisy(truths, 0.08, seed), aim="speed").choices[0]
        assert found.best is not None
        told.append(found.best)
        right.append(found.model == f"m{max(range(4), key=lambda n: truths[n]['decode_tok_s'])}")
    assert np.mean(told) == pytest.approx(np.mean(right), abs=0.06)
    assert np.mean(told) < 0.95, "or it would be no test"


def test_of_equals_none_is_said_to_be_surely_the_best() -> None:
    equals = [{"decode_tok_s": 50.0}] * 5
    told = [answer(noisy(equals, 0.05, seed), aim="speed").choices[0].best for seed in range(100)]
    assert np.mean([chance is None or chance > 0.95 for chance in told]) <= 0.05


def test_the_same_question_gets_the_same_answer() -> None:
    rows = noisy([{"decode_tok_s": 50.0}, {"decode_tok_s": 50.0}], 0.1, seed=1)
    assert answer(rows, aim="speed") == answer(rows, aim="speed")


@settings(max_examples=40)
@given(st.data())
def test_relaxing_a_limit_never_makes_the_answer_worse(data: st.DataObject) -> None:
    figures = st.lists(st.floats(1, 100), min_size=6, max_size=6)
    rows = alike(6).assign(
        decode_tok_s=data.draw(figures),
        ttft_s=data.draw(figures),
        peak_rss_bytes=1e9 * np.array(data.draw(figures)),
    )
    tight, loose = sorted((data.draw(st.floats(1, 100)), data.draw(st.floats(1, 100))))
    before, after = (
        answer(rows, aim="speed", memory=f"{bound}GB", latency="50s") for bound in (tight, loose)
    )
    assert len(after.choices) >= len(before.choices)
    if before.choices:
        assert after.choices[0].merit >= before.choices[0].merit


@settings(max_examples=40)
@given(st.data())
def test_a_limit_relaxed_as_told_gives_what_was_told(data: st.DataObject) -> None:
    figures = st.lists(st.floats(1, 100), min_size=6, max_size=6)
    rows = alike(6).assign(
        decode_tok_s=data.draw(figures), peak_rss_bytes=1e9 * np.array(data.draw(figures))
    )
    asked_for = question(rows, "speed", memory=f"{data.draw(st.floats(1, 100))}GB")
    (found,) = advise(rows, asked_for)
    (memory,) = found.costs
    if memory.nearest is None:
        return
    relaxed = dataclasses.replace(asked_for.limits[0], bound=memory.nearest.bound)
    (then,) = advise(rows, dataclasses.replace(asked_for, limits=(relaxed,)))
    assert then.choices[0].merit >= memory.nearest.choice.merit
    if found.choices:
        assert then.choices[0].merit > found.choices[0].merit


def test_of_one_there_was_nothing_to_choose_from() -> None:
    alone = offers(offer("only", decode_tok_s=(50, 0.01), peak_rss_bytes=1e9))
    found = answer(alone, aim="speed")
    assert models(found) == ["only"]
    assert found.choices[0].best is None
    told = wording.sureness(found)
    assert told == "There was nothing to choose from: only this configuration was measured."
    limited = wording.sureness(answer(alone, aim="speed", speed="40"))
    assert limited == f"{told} It meets the limit with > 99 %."
    assert wording.percent(found.choices[0].best) == "-"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_figures_without_an_interval_no_probability_is_told(n: int) -> None:
    rows = offers(*(offer(f"m{each}", decode_tok_s=100.0 - each) for each in range(n)))
    found = answer(rows, aim="speed", speed="40")
    first = found.choices[0]
    assert (first.model, first.best, first.meets) == ("m0", None, None)
    assert figure(found, "decode_tok_s").meets == "likely"
    assert figure(found, "decode_tok_s").chance is None
    told = wording.sureness(found)
    assert "%" not in told
    assert "by figures without an interval" in told
    assert ("cannot be told" if n > 1 else "nothing to choose from") in told


def test_without_rows_there_is_no_answer() -> None:
    assert advise(ROWS.iloc[:0], question(ROWS)) == ()


def test_with_one_that_meets_no_limit_nothing_is_called_best() -> None:
    alone = offers(offer("only", decode_tok_s=(50, 0.01)))
    found = answer(alone, aim="speed", speed="1000")
    assert found.choices == ()
    assert found.closest
    assert found.closest.best is None
    assert wording.sureness(found) == ""
