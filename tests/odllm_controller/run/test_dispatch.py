"""The loop over a fleet, with devices that are lost at any moment."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.contract import Event, EventKind, Hindrance, RepeatPolicy, Trial
from odllm_agent.trials.schedule import Schedule, Terms
from odllm_controller.planning.plan import Step
from odllm_controller.run import dispatch
from odllm_controller.run.device_activity import Activity
from odllm_controller.run.dispatch import Agent, Dispatch
from odllm_controller.run.work import Job
from tests import support
from tests.odllm_controller.configs import experiment
from tests.odllm_controller.world import Books, Display, FakeAgent, Fate, World, agent

ASKED = experiment()
GRACE_S = 600.0
N_ROUNDS = 2


def job(device: Any, books: Books, display: Display) -> Job:
    nowhere: Any = None
    return Job(ASKED, device, nowhere, books, display)  # type: ignore[arg-type]


def trials_of(device_id: str) -> list[Trial]:
    files = [support.model_file(quantization=kind) for kind in ("Q8_0", "Q4_0")]
    return [support.trial(file, device_id) for file in files]


def schedule_of(device_id: str) -> Schedule:
    trials = trials_of(device_id)
    steps = [Step(trial, index) for index in range(N_ROUNDS) for trial in trials]
    return Schedule(steps, [], Terms(RepeatPolicy(), (), 60.0), {})


def run(world: World, expected: Sequence[Any] = ()) -> tuple[Books, Display]:
    books, display = Books(), Display()

    def work(of: Agent) -> Any:
        return job(of.device, books, display).work_off(schedule_of(of.device.id))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "seconds_since", world.clock.seconds_since)
        patch.setattr(dispatch, "TURN_S", 20.0)
        Dispatch(world, work, books, display, GRACE_S, expected=expected).run()
    return books, display


def kinds(books: Books) -> Counter[EventKind]:
    return Counter(event.kind for event in books.events)


FATES = st.lists(
    st.sampled_from([Fate.ANSWERED, Fate.SLOW, Fate.LOST_BEFORE, Fate.LOST_AFTER, Fate.SILENT]),
    max_size=40,
)


@settings(max_examples=40)
@given(st.lists(FATES, min_size=1, max_size=3))
def test_every_round_is_stored_once_or_fails_once_whatever_is_lost_on_the_way(
    fates: list[list[Fate]],
) -> None:
    agents = [agent(f"laptop-{index}", each) for index, each in enumerate(fates)]
    books, _ = run(World(list(agents)))
    for each in agents:
        found = [result for result in books.rounds() if result.trial.device_id == each.device.id]
        if each.device.id in books.holds:
            continue
        keys = [(result.trial.id, result.round) for result in found]
        assert len(keys) == len(set(keys)), "a round was stored twice"
        failed = {result.trial.id for result in found if result.failure}
        whole = Counter(result.trial.id for result in found if not result.failure)
        wanted = {trial.id for trial in trials_of(each.device.id)}
        assert failed | set(whole) == wanted, "each of two trials has come to something"
        assert len(wanted) == 2
        for trial_id in wanted:
            assert trial_id in failed or whole[trial_id] == N_ROUNDS
        assert not each.journal, "what is stored is forgotten on the device"


@settings(max_examples=40)
@given(FATES)
def test_an_order_is_carried_out_thrice_at_most(fates: list[Fate]) -> None:
    laptop = agent(fates=fates)
    run(World([laptop]))
    assert max(Counter(laptop.carried_out).values(), default=0) <= 3


def test_what_the_device_kept_of_a_lost_order_is_not_measured_again() -> None:
    laptop = agent(fates=[Fate.LOST_AFTER])
    books, _ = run(World([laptop]))
    assert len(laptop.carried_out) == len(books.stored) == 2 * N_ROUNDS
    assert kinds(books)[EventKind.LEFT] == 1
    assert kinds(books)[EventKind.JOINED] == 2


def test_an_order_that_is_lost_each_time_is_a_failure_and_the_rest_goes_on() -> None:
    # After each loss the journal is looked into first, which goes well.
    laptop = agent(fates=[Fate.LOST_BEFORE, Fate.ANSWERED] * 3)
    books, _ = run(World([laptop]))
    (failed,) = [each for each in books.rounds() if each.failure]
    assert "lost 3 times" in failed.failure.message
    assert "the agent died" in failed.failure.message
    assert len([each for each in books.rounds() if not each.failure]) == N_ROUNDS


def test_a_device_that_stays_away_is_held_and_the_others_are_not_waited_for() -> None:
    lost = agent("lost", [Fate.SILENT])
    there = agent("there")

    def cut(world: World) -> None:
        lost.gone = lost.gone or bool(lost.carried_out) or world.clock.now_s > 0

    world = World([lost, there], on_wait=cut)
    books, display = run(world)
    assert list(books.holds) == [lost.device.id]
    done = Counter(each.trial.device_id for each in books.rounds())
    assert done == {there.device.id: 2 * N_ROUNDS}
    assert kinds(books)[EventKind.HELD] == 1
    assert display.statuses[-1].activity is Activity.HELD
    assert world.clock.now_s >= GRACE_S


def test_a_device_that_comes_back_after_it_was_held_goes_on() -> None:
    lost = agent("lost", [Fate.SILENT])
    waiting = agent("waiting", hindrances=[Hindrance("it is not night yet")] * 100)

    def return_late(world: World) -> None:
        lost.gone = world.clock.now_s < 2000
        if not lost.gone and not world.agents and world.clock.now_s < 2030:
            world.agents = [lost]

    books, display = run(World([lost, waiting], on_wait=return_late))
    assert Activity.HELD in {status.activity for status in display.statuses}
    assert books.holds == {}
    assert len(books.stored) == 2 * 2 * N_ROUNDS


def test_a_device_that_may_not_run_waits_says_why_and_is_never_held() -> None:
    night = Hindrance("it may only run from 22:00 to 06:00")
    laptop = agent(hindrances=[night] * 1000)
    world = World([laptop])
    books, display = run(world)
    assert night.reason in {status.reason for status in display.statuses}
    assert world.clock.now_s > GRACE_S
    assert books.holds == {}
    assert len(books.stored) == 2 * N_ROUNDS


def test_a_device_that_never_may_is_held_with_the_reason() -> None:
    books, _ = run(World([agent(hindrances=[Hindrance("it tells no temperature", for_good=True)])]))
    assert list(books.holds.values()) == ["it tells no temperature"]


def test_a_device_that_joins_during_the_run_is_taken_in() -> None:
    first = agent("first", hindrances=[Hindrance("it is hot")] * 3)
    second = agent("second")
    books, _ = run(World([first], later={20.0: second}))
    assert len(books.stored) == 2 * 2 * N_ROUNDS


def test_one_that_is_refused_is_told_and_the_rest_goes_on() -> None:
    refusal = Event(support.STARTED, EventKind.REFUSED, "old", "it has ODLLM 0.0.1")
    books, _ = run(World([agent()], refused=[refusal]))
    assert refusal in books.events
    assert len(books.stored) == 2 * N_ROUNDS


def test_one_that_an_earlier_run_left_is_waited_for_no_longer_than_its_grace() -> None:
    missing = support.device("missing")
    world = World([agent()])
    books, _ = run(world, expected=[missing])
    assert list(books.holds) == [missing.id]
    assert GRACE_S <= world.clock.now_s < GRACE_S + 30


def test_one_that_an_earlier_run_left_is_not_missed_once_it_is_there() -> None:
    back = agent("back")
    world = World([agent()], later={100.0: back})
    books, _ = run(world, expected=[back.device])
    assert books.holds == {}
    assert len(books.stored) == 2 * 2 * N_ROUNDS


def test_nothing_is_asked_before_what_came_in_is_stored() -> None:
    laptop: FakeAgent = agent()
    books, display = Books(), Display()
    ask = laptop.ask

    def checked(wanted: Any) -> Any:
        assert books.taken == []
        return ask(wanted)

    laptop.ask = checked  # type: ignore[method-assign,assignment]
    work = job(laptop.device, books, display).work_off(schedule_of(laptop.device.id))
    Dispatch(World([laptop]), lambda _: work, books, display, GRACE_S).run()
    assert len(books.stored) == 2 * N_ROUNDS


def test_an_order_tells_what_is_stored_so_that_a_trial_takes_one_call() -> None:
    laptop: FakeAgent = agent()
    asked: list[str] = []
    ask = laptop.ask

    def noted(wanted: Any) -> Any:
        asked.append(wanted.method)
        assert len(laptop.journal) <= 1, "what was stored is told with the next order"
        return ask(wanted)

    laptop.ask = noted  # type: ignore[method-assign,assignment]
    run(World([laptop]))
    assert asked == [*["carry_out"] * 2 * N_ROUNDS, "acknowledge"]
    assert not laptop.journal
