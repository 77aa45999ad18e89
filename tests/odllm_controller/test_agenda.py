"""What a device has still to do."""

from collections.abc import Mapping, Sequence

import pytest

from odllm_agent.contract import Cooldown, Measurement, QualityCheck, RepeatPolicy, Rest, Trial
from odllm_controller.agenda import Agenda, Task, Terms
from odllm_controller.plan import Step, steps
from odllm_controller.store import Speeds
from tests import support

TRIALS = [support.trial(support.model_file(quantization=kind)) for kind in ("Q8_0", "Q4_0")]
TERMS = Terms(RepeatPolicy(), ("auto",), 60.0, Cooldown(below_c=60.0))
STEPS = [Step(trial, index) for index in range(2) for trial in TRIALS]


def agenda(of: Sequence[Step], speeds: Mapping[str, Speeds] | None = None) -> Agenda:
    check = support.quality_result().check
    return Agenda(of, [check], TERMS, speeds or {})


def drained(of: Agenda) -> list[Task]:
    orders = []
    while (order := of.next_order()) is not None:
        orders.append(order)
    return orders


def test_trials_come_in_their_order_and_quality_comes_last() -> None:
    *measurements, check = drained(agenda(STEPS))
    assert [(each.trial, each.round) for each in measurements] == [  # type: ignore[union-attr]
        (step.trial, step.round) for step in STEPS
    ]
    assert check == support.quality_result().check


def test_every_trial_is_measured_on_the_same_terms() -> None:
    *measurements, _ = drained(agenda(STEPS))
    assert all(isinstance(each, Measurement) for each in measurements)
    told = {
        Terms(each.policy, each.meters, each.deadline_s, each.cooldown)  # type: ignore[union-attr]
        for each in measurements
    }
    assert told == {TERMS}


def test_a_round_is_told_the_speeds_of_the_earlier_ones_without_warm_ups() -> None:
    work = agenda(STEPS, {TRIALS[0].id: ((5.0,),)})
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
    work = agenda(STEPS)
    work.next_order()
    work.learn(support.failed_round(TRIALS[0]))
    rest = [each for each in drained(work) if isinstance(each, Measurement)]
    assert [each.trial for each in rest] == [TRIALS[1], TRIALS[1]]


def measurements(of: Agenda) -> list[tuple[Trial, int]]:
    return [(each.trial, each.round) for each in drained(of) if isinstance(each, Measurement)]


def speeds(*by_round: float) -> Speeds:
    """Three repeats of each round, all alike."""
    return tuple((speed,) * 3 for speed in by_round)


def test_spare_rounds_are_for_trials_whose_interval_is_still_wide() -> None:
    asked = steps(TRIALS, rounds=2, seed=0, rounds_at_most=4)
    work = agenda(asked)
    given = []
    while isinstance(order := work.next_order(), Measurement):
        given.append((order.trial, order.round))
        token_s = 0.01 * (1 + order.round) if order.trial == TRIALS[0] else 0.01
        repeats = tuple(support.repeat(index, token_s=token_s) for index in (1, 2, 3))
        work.learn(support.round_result(order.trial, order.round, repeats))
    assert [index for trial, index in given if trial == TRIALS[0]] == [0, 1, 2, 3]
    assert [index for trial, index in given if trial == TRIALS[1]] == [0, 1]


def test_rounds_that_every_trial_takes_are_not_left_out_however_narrow_it_is() -> None:
    work = agenda(steps(TRIALS, rounds=4, seed=0, rounds_at_most=6))
    for _ in range(2 * 2):
        order = work.next_order()
        assert isinstance(order, Measurement)
        work.learn(support.round_result(order.trial, order.round))
    assert len(work) == 2 * 4 + 1, "two rounds of two trials are done, the spare ones still open"


def test_what_is_stored_already_decides_whether_spare_rounds_are_needed() -> None:
    done = {(trial.id, index) for trial in TRIALS for index in range(2)}
    asked = steps(TRIALS, rounds=2, seed=0, finished=done, rounds_at_most=3)
    stored = {TRIALS[0].id: speeds(100.0, 100.1), TRIALS[1].id: speeds(100.0, 150.0)}
    work = agenda(asked, stored)
    assert len(work) == 2, "one spare round, and the quality check"
    assert measurements(work) == [(TRIALS[1], 2)]


def test_a_trial_without_an_interval_takes_its_spare_rounds() -> None:
    done = {(trial.id, 0) for trial in TRIALS}
    asked = steps(TRIALS, rounds=1, seed=0, finished=done, rounds_at_most=2)
    work = agenda(asked, {TRIALS[0].id: speeds(100.0), TRIALS[1].id: speeds(100.0)})
    assert sorted(trial.id for trial, _ in measurements(work)) == sorted(
        trial.id for trial in TRIALS
    )


def resting(*steps: Step | Rest) -> Agenda:
    return Agenda(steps, [support.quality_check()], TERMS, {})


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
    orders = drained(Agenda(STEPS[:2], [], terms, {}))
    found = {each.trial: each.deadline_s for each in orders if isinstance(each, Measurement)}
    assert found == {TRIALS[0]: 600.0, TRIALS[1]: 3600.0}
