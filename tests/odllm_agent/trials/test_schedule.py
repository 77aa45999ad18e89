"""What a device has still to do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Cooldown,
    Failure,
    Measurement,
    Order,
    QualityCheck,
    QualityResult,
    RepeatPolicy,
    Rest,
    RoundResult,
    Trial,
)
from odllm_agent.failures import LeftOut
from odllm_agent.statistics.interval import Rounds
from odllm_agent.trials.schedule import Schedule, Terms
from odllm_agent.trials.steps import Step, steps
from tests import support
from tests.odllm_agent.failures import made

TRIALS = [support.trial(support.model_file(quantization=kind)) for kind in ("Q8_0", "Q4_0")]
TERMS = Terms(RepeatPolicy(), ("auto",), 60.0, Cooldown(below_c=60.0))
STEPS = [Step(trial, index) for index in range(2) for trial in TRIALS]


def schedule(of: Sequence[Step], speeds: Mapping[str, Rounds] | None = None) -> Schedule:
    check = support.quality_result().check
    return Schedule(of, [check], TERMS, speeds or {})


def drained(of: Schedule) -> list[Order]:
    orders = []
    while (order := of.next_order()) is not None:
        orders.append(order)
    return orders


def test_trials_come_in_their_order_and_quality_comes_last() -> None:
    *measurements, check = drained(schedule(STEPS))
    assert [(each.trial, each.round) for each in measurements] == [  # type: ignore[union-attr]
        (step.trial, step.round) for step in STEPS
    ]
    assert check == support.quality_result().check


def test_every_trial_is_measured_on_the_same_terms() -> None:
    *measurements, _ = drained(schedule(STEPS))
    for each in measurements:
        assert isinstance(each, Measurement)
        assert Terms(each.policy, each.meters, each.deadline_s, each.cooldown) == TERMS


def test_a_round_is_told_the_speeds_of_the_earlier_ones_without_warm_ups() -> None:
    work = schedule(STEPS, {TRIALS[0].id: ((5.0,),)})
    first = work.next_order()
    assert isinstance(first, Measurement)
    assert first.earlier_decode_tok_s == (5.0,)
    work.learn(support.round_result(TRIALS[0]))
    work.next_order()
    second = work.next_order()
    assert isinstance(second, Measurement)
    assert second.trial == TRIALS[0]
    assert second.earlier_decode_tok_s == pytest.approx((5.0, 100.0, 100.0, 100.0))


def test_a_trial_that_failed_is_left_out_of_later_rounds_and_the_others_are_not() -> None:
    work = schedule(STEPS)
    work.next_order()
    work.learn(support.failed_round(TRIALS[0]))
    rest = [each for each in drained(work) if isinstance(each, Measurement)]
    assert [each.trial for each in rest] == [TRIALS[1], TRIALS[1]]


def measurements(of: Schedule) -> list[tuple[Trial, int]]:
    return [(each.trial, each.round) for each in drained(of) if isinstance(each, Measurement)]


def speeds(*by_round: float) -> Rounds:
    """Three repeats of each round, all alike."""
    return tuple((speed,) * 3 for speed in by_round)


def test_spare_rounds_are_for_trials_whose_interval_is_still_wide() -> None:
    asked = steps(TRIALS, rounds=2, seed=0, rounds_at_most=4)
    work = schedule(asked)
    given = []
    while isinstance(order := work.next_order(), Measurement):
        given.append((order.trial, order.round))
        token_s = 0.01 * (1 + order.round) if order.trial == TRIALS[0] else 0.01
        repeats = tuple(support.repeat(index, token_s=token_s) for index in (1, 2, 3))
        work.learn(support.round_result(order.trial, order.round, repeats))
    assert [index for trial, index in given if trial == TRIALS[0]] == [0, 1, 2, 3]
    assert [index for trial, index in given if trial == TRIALS[1]] == [0, 1]


def test_rounds_that_every_trial_takes_are_not_left_out_however_narrow_it_is() -> None:
    work = schedule(steps(TRIALS, rounds=4, seed=0, rounds_at_most=6))
    for _ in range(2 * 2):
        order = work.next_order()
        assert isinstance(order, Measurement)
        work.learn(support.round_result(order.trial, order.round))
    assert len(work) == 2 * 4 + 1, "two rounds of two trials are done, the spare ones still open"


def test_what_is_stored_already_decides_whether_spare_rounds_are_needed() -> None:
    done = {(trial.id, index) for trial in TRIALS for index in range(2)}
    asked = steps(TRIALS, rounds=2, seed=0, finished=done, rounds_at_most=3)
    stored = {TRIALS[0].id: speeds(100.0, 100.1), TRIALS[1].id: speeds(100.0, 150.0)}
    work = schedule(asked, stored)
    assert len(work) == 2, "one spare round, and the quality check"
    assert measurements(work) == [(TRIALS[1], 2)]


def test_a_trial_without_an_interval_takes_its_spare_rounds() -> None:
    done = {(trial.id, 0) for trial in TRIALS}
    asked = steps(TRIALS, rounds=1, seed=0, finished=done, rounds_at_most=2)
    work = schedule(asked, {TRIALS[0].id: speeds(100.0), TRIALS[1].id: speeds(100.0)})
    assert sorted(trial.id for trial, _ in measurements(work)) == sorted(
        trial.id for trial in TRIALS
    )


def resting(*steps: Step | Rest) -> Schedule:
    return Schedule(steps, [support.quality_check()], TERMS, {})


def test_a_rest_comes_before_the_round_that_it_was_planned_for() -> None:
    first, second = (Rest("id-of-laptop", index, ("auto",), 5.0) for index in (0, 1))
    work = resting(first, *STEPS[:2], second, *STEPS[2:])
    assert work.next_order() == first
    work.learn(support.baseline())
    kinds = [type(each) for each in drained(work)]
    assert kinds == [Measurement, Measurement, Rest, Measurement, Measurement, QualityCheck]


def test_nobody_rests_before_a_round_of_which_nothing_is_left() -> None:
    work = resting(STEPS[0], Rest("id-of-laptop", 1, ("auto",), 5.0), STEPS[2])
    work.next_order()
    work.learn(support.failed_round(TRIALS[0]))
    assert drained(work) == [support.quality_check()]


def test_a_trial_that_is_expected_to_be_quick_has_a_deadline_of_its_own() -> None:
    terms = Terms(RepeatPolicy(), (), 3600.0, deadlines_s={TRIALS[0].id: 600.0})
    orders = drained(Schedule(STEPS[:2], [], terms, {}))
    found = {each.trial.id: each.deadline_s for each in orders if isinstance(each, Measurement)}
    assert found == {TRIALS[0].id: 600.0, TRIALS[1].id: 3600.0}


def names(*models: str) -> list[Trial]:
    return [made.trial(kind, model) for kind in ("Q4_0", "F16") for model in models]


def planned(trials: Sequence[Trial], rounds: int = 2) -> Schedule:
    """Rounds of trials one after another, and a quality check of each."""
    each_round = [Step(trial, index) for index in range(rounds) for trial in trials]
    checks = [support.quality_check(trial.model, engine=trial.engine) for trial in trials]
    return Schedule(each_round, checks, TERMS, {})


def after(work: Schedule, *results: RoundResult | QualityResult) -> list[LeftOut]:
    """What is left out once the next orders had these results."""
    left_out = []
    for result in results:
        work.next_order()
        left_out += work.learn(result)
    return left_out


def test_after_three_failed_alike_at_a_type_rounds_and_checks_of_it_are_left_out() -> None:
    trials = names("a", "b", "c", "d")
    work = planned(trials)
    (left_out,) = after(work, *map(made.failed, trials[:3]))
    assert left_out.what == "llama_cpp at Q4_0"
    assert (left_out.n_rounds, len(left_out.checks), left_out.n_failed) == (2, 4, 3)
    assert left_out.trial_ids == (trials[3].id,)
    assert left_out.cause == "llama_cpp was ended by SIGSEGV"
    kinds = {each.trial.model.quantization for each in drained(work) if hasattr(each, "trial")}
    assert kinds == {"F16"}


def test_after_five_failed_alike_everything_of_the_engine_is_left_out() -> None:
    bad = [made.trial(kind, kind) for kind in ("Q4_0", "Q8_0", "F16", "Q2_K", "Q5_0", "Q3_K_M")]
    good = made.trial(engine="openvino")
    work = planned([*bad, good], rounds=1)
    (left_out,) = after(work, *map(made.failed, bad[:5]))
    assert left_out.told() == "1 round and 6 quality checks of llama_cpp, after 5 failed alike"
    left = drained(work)
    assert [type(each) for each in left] == [Measurement, QualityCheck]


def test_a_type_that_has_run_is_spared_when_the_rest_of_its_engine_is_left_out() -> None:
    bad = [made.trial(kind, kind) for kind in ("Q4_0", "Q8_0", "Q2_K", "Q5_0", "Q3_K_M", "Q4_K_M")]
    good = made.trial("F16", "F16")
    work = planned([good, *bad], rounds=2)
    (left_out,) = after(work, support.round_result(good), *map(made.failed, bad[:5]))
    assert left_out.trial_ids == (bad[5].id,)
    kinds = {each.trial.model.quantization for each in drained(work) if hasattr(each, "trial")}
    assert kinds == {"F16"}


def test_a_success_between_keeps_everything_else_on_the_schedule() -> None:
    trials = names("a", "b", "c", "d")
    work = planned(trials, rounds=1)
    results = [made.failed(trials[0]), made.failed(trials[1]), support.round_result(trials[2])]
    assert after(work, *results, made.failed(trials[3])) == []
    assert len(work) == 4 + 8


@pytest.mark.parametrize("kind", ["DispatchError", "WorkerLate"])
def test_losses_and_deadlines_leave_out_nothing_but_their_trial(kind: str) -> None:
    trials = names("a", "b", "c", "d")
    work = planned(trials)
    lost = Failure(kind, "gone")
    assert after(work, *(made.failed(each, lost) for each in trials[:6])) == []
    assert len(work) == 2 + 2 + 8, "six trials lost their second rounds, and no check is lost"


def test_rests_and_ceilings_that_fail_count_for_nothing() -> None:
    work = planned(names("a", "b"))
    lost = Failure("EngineError", "it failed")
    for _ in range(9):
        assert work.learn(support.baseline(failure=lost)) == []
        assert work.learn(replace(support.ceilings(), failure=lost)) == []
    assert len(work) == 12


def test_checks_that_fail_in_a_row_leave_out_the_further_ones() -> None:
    trials = [made.trial("Q4_0", name) for name in "abcd"]
    checks = [support.quality_check(each.model, engine=each.engine) for each in trials]
    work = Schedule([], checks, TERMS, {})
    (left_out,) = after(work, *map(made.unchecked, trials[:3]))
    assert left_out.told() == "1 quality check of llama_cpp at Q4_0, after 3 failed alike"
    assert drained(work) == []


@given(st.lists(st.booleans(), max_size=40))
def test_whatever_fails_each_trial_is_measured_failed_or_left_out_for_a_reason(
    fails: list[bool],
) -> None:
    work = planned(names("a", "b", "c"), rounds=3)
    ever, done, told = iter(fails), set(), set()
    while (order := work.next_order()) is not None:
        if isinstance(order, Measurement):
            done.add(order.trial.id)
            fail = next(ever, False)
            result = made.failed if fail else support.round_result
            told |= {each for left in work.learn(result(order.trial)) for each in left.trial_ids}
    assert done | told == {trial.id for trial in names("a", "b", "c")}
