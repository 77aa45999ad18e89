"""What one device is asked in a run, from planning to its last order, into a real store."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from odllm_agent.contract import (
    Candidate,
    Entry,
    Exam,
    Failure,
    Forecast,
    ModelFile,
    ModelRequest,
    Order,
    QualityCheck,
    QualityResult,
    Rest,
    Result,
    Score,
    Tag,
    Underway,
)
from odllm_agent.errors import DispatchError, UsageError
from odllm_controller import store
from odllm_controller.run.dispatch import Dispatch
from odllm_controller.run.record import recording
from odllm_controller.run.work import Participants
from odllm_controller.store import Store
from tests import support
from tests.odllm_controller.configs import experiment
from tests.odllm_controller.world import Display, FakeAgent, Fate, World

ASKED = (
    "model=[reference-1.6M]",
    "quantizations=[Q8_0,Q4_0]",
    "engines.llama_cpp.threads=2",
    "rounds=2",
    "ceilings=never",
    "quality=none",
    "fleet=ray",
)


@dataclass
class PlanningAgent(FakeAgent):
    """An agent that can be planned with as well."""

    missing: str = ""
    doing: Underway | None = None

    def underway(self) -> Any:
        return self.doing

    def forecast(  # type: ignore[override]  # as the actor takes it
        self, candidates: tuple[Candidate, ...], meters: tuple[str, ...], here: bool
    ) -> tuple[Forecast, ...]:
        return tuple(replace(support.forecast(), candidate=each) for each in candidates)

    def prepare(self, request: ModelRequest) -> ModelFile | Failure:
        if self.missing == request.quantization:
            return Failure("ModelMissing", "no such file", "look elsewhere")
        return support.model_file(request.name, str(request.quantization))

    def text_sha256(self, name: str) -> str | Failure:
        return Failure(self.missing, f"{name} cannot be had") if self.missing else "text"

    def look_up(self, exam: Exam, _: float) -> Exam:
        return replace(exam, sha256="exam")

    def result(self, order: Order) -> Result:
        if isinstance(order, Rest):
            return support.baseline(order.round)
        if isinstance(order, QualityCheck):
            return QualityResult(order, (Score(order.metrics[0], 12.5, 0.2, 100),))
        return super().result(order)


def agent(name: str = "laptop", fates: tuple[Fate, ...] = (), **changes: Any) -> PlanningAgent:
    return PlanningAgent(support.device(name), iter(fates), **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def run(
    path: Path, *agents: FakeAgent, asked: tuple[str, ...] = ASKED, grace_s: float = 600.0
) -> Participants:
    """Runs an experiment over agents, as the command does."""
    opened, wanted = Store.open(path), experiment(*asked)
    display: Any = Display()
    with recording(opened, wanted) as recorder:
        participants = Participants(wanted, opened, recorder, display)
        expected = participants.expected()
        Dispatch(
            World([*agents]), participants.work, recorder, display, grace_s, expected=expected
        ).run()
        participants.check()
    return participants


def statuses(path: Path) -> list[tuple[str, str, str]]:
    found = store.read(path, "SELECT device, quantization, status FROM results ORDER BY ALL")
    return list(found.itertuples(index=False, name=None))


def test_a_device_is_planned_with_measured_on_and_done(path: Path) -> None:
    run(path, agent())
    assert statuses(path) == [("laptop", "Q4_0", "done"), ("laptop", "Q8_0", "done")]
    assert len(store.read(path, "SELECT * FROM baselines")) == 1
    assert len(store.read(path, "SELECT * FROM rounds")) == 4
    dispatched = store.read(path, "SELECT detail FROM events WHERE kind = 'dispatched'")
    assert len(dispatched) == 5


def test_a_second_run_measures_nothing_again(path: Path) -> None:
    run(path, agent())
    again = agent()
    run(path, again)
    assert again.carried_out == []


def test_what_a_device_kept_for_an_earlier_run_is_stored_before_anything_is_planned(
    path: Path,
) -> None:
    laptop = agent()
    with recording(Store.open(path), experiment(*ASKED)) as earlier:
        tag = Tag(earlier.store_id, earlier.run_id)
    trial = support.trial(support.model_file("reference-1.6M", "Q8_0"))
    laptop.journal["0001"] = Entry.of("0001", support.round_result(trial), tag)
    laptop.doing = Underway("reference-1.6M Q8_0, round 1, short", support.STARTED, tag)
    run(path, laptop)
    kept = store.read(path, "SELECT run_id FROM rounds WHERE trial_id = ?", [trial.id])
    assert kept["run_id"].tolist() == [earlier.run_id]
    assert laptop.journal == {}


def test_a_model_that_a_device_cannot_get_is_a_failure_of_it_alone(path: Path) -> None:
    participants = run(path, agent(missing="Q4_0"), agent("other"))
    assert statuses(path) == [
        ("laptop", "Q4_0", "failed"),
        ("laptop", "Q8_0", "done"),
        ("other", "Q4_0", "done"),
        ("other", "Q8_0", "done"),
    ]
    (failure,) = participants.recorder.failures
    assert "on laptop: no such file" in failure


def test_planning_goes_on_where_it_was_when_the_agent_was_lost_in_it(path: Path) -> None:
    run(path, agent(fates=(Fate.LOST_BEFORE, Fate.ANSWERED, Fate.LOST_AFTER, Fate.ANSWERED)))
    assert statuses(path) == [("laptop", "Q4_0", "done"), ("laptop", "Q8_0", "done")]


def test_quality_comes_last_and_once(path: Path) -> None:
    asked = (*ASKED, "quality=reference", "quality.metrics=[perplexity]", "quality.tasks=[]")
    run(path, agent(), asked=asked)
    assert len(store.read(path, "SELECT * FROM quality")) == 2
    last = store.read(path, "SELECT detail FROM events WHERE kind = 'stored' ORDER BY event_id")
    assert ["quality on" in each for each in last["detail"]][-2:] == [True, True]


def test_what_one_device_cannot_fetch_holds_it_and_not_the_others(path: Path) -> None:
    asked = (*ASKED, "quality=reference", "quality.metrics=[perplexity]", "quality.tasks=[]")
    participants = run(path, agent(missing="DataMissing"), agent("other"), asked=asked)
    assert participants.recorder.holds == ["laptop: reference cannot be had"]
    assert {status for device, _, status in statuses(path) if device == "laptop"} == {"held"}
    assert {status for device, _, status in statuses(path) if device == "other"} == {"done"}


def test_what_is_wrong_everywhere_ends_the_run(path: Path) -> None:
    asked = (*ASKED, "quality=reference", "quality.tasks=[]")
    with pytest.raises(UsageError, match="reference cannot be had"):
        run(path, agent(missing="UsageError"), asked=asked)


def test_a_device_that_is_left_out_is_neither_asked_nor_missed(path: Path) -> None:
    run(path, agent(), agent("other"), asked=(*ASKED, "rounds=1"))
    other = agent("other")
    only = (*ASKED, "fleet.select=\"name == 'laptop'\"")
    participants = run(path, agent(), other, asked=only)
    assert other.carried_out == []
    assert participants.recorder.holds == []


def test_a_device_of_an_earlier_run_that_is_gone_is_held(path: Path) -> None:
    run(path, agent(), agent("other"), asked=(*ASKED, "rounds=1"))
    # Its rounds are done, but what this run asks for is more.
    with recording(Store.open(path), experiment(*ASKED)) as earlier:
        trials = [
            support.trial(support.model_file("reference-1.6M", kind), "id-of-other")
            for kind in ("Q8_0", "Q4_0")
        ]
        earlier.plan(trials)
    participants = run(path, agent(), grace_s=0.0)
    assert participants.recorder.holds == ["other: it is not in the fleet"]


def test_a_device_that_was_lost_before_it_was_planned_is_not_forgotten(path: Path) -> None:
    with recording(Store.open(path), experiment(*ASKED)) as early:
        early.joined(support.device("other", id="id-of-other"))
        early.result(support.baseline(failure=Failure("DispatchError", "it was ended")))
    participants = run(path, agent(), grace_s=0.0)
    assert participants.recorder.holds == ["other: it is not in the fleet"]
    participants = run(path, agent(), agent("other"), grace_s=0.0)
    assert participants.recorder.holds == []


@pytest.mark.parametrize(
    ("agents", "asked", "told"),
    [
        ((), ASKED, "no device in the fleet"),
        ((agent(),), (*ASKED, "fleet.select='ram_gb > 4000'"), "laptop: ram_gb=16"),
    ],
)
def test_a_run_without_a_device_says_why(
    path: Path, agents: tuple[FakeAgent, ...], asked: tuple[str, ...], told: str
) -> None:
    with pytest.raises((DispatchError, UsageError)) as caught:
        run(path, *agents, asked=asked)
    assert told in str(caught.value)


def test_what_is_longer_than_the_model_was_made_for_is_measured_and_noted(path: Path) -> None:
    long = (*ASKED, "workloads.short.prompt_tokens=3000")
    participants = run(path, agent(), asked=long)
    assert {status for _, _, status in statuses(path)} == {"done"}
    (note,) = participants.recorder.notes
    assert note.startswith("laptop: ")
    assert " tokens of context" in note
    assert "was made for 256" in note
    again = run(path.with_name("other.duckdb"), agent())
    assert not again.recorder.notes
