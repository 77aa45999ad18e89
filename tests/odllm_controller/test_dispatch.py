"""Sending orders over a real Ray of this machine."""

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from odllm_agent.contract import (
    Candidate,
    Cooldown,
    Device,
    Exam,
    Failure,
    Measurement,
    ModelFile,
    ModelRequest,
    Progress,
    QualityCheck,
    Quantization,
    RepeatPolicy,
    Rest,
    RoundResult,
    Source,
    Trial,
    Workload,
)
from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.models import Cache, prepare
from odllm_agent.settings import check_settings
from odllm_controller.dispatch import (
    Agenda,
    Order,
    RemoteAgent,
    Result,
    Terms,
    dispatch,
    local_fleet,
)
from odllm_controller.plan import Step, steps
from odllm_controller.store import Speeds
from tests import hub_server, support
from tests.models import Shape, write_gguf

TRIALS = [support.trial(support.model_file(quantization=kind)) for kind in ("Q8_0", "Q4_0")]
TERMS = Terms(RepeatPolicy(), ("auto",), 60.0, Cooldown(below_c=60.0))
STEPS = [Step(trial, index) for index in range(2) for trial in TRIALS]


def agenda(of: Sequence[Step], speeds: Mapping[str, Speeds] | None = None) -> Agenda:
    check = support.quality_result().check
    return Agenda(of, [check], TERMS, speeds or {})


def drained(of: Agenda) -> list[Order]:
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


def trial_on(agent: RemoteAgent, path: Path, kind: Quantization, output_tokens: int) -> Trial:
    file = agent.prepare(ModelRequest("tiny", Source.FILE, str(path), kind))
    assert isinstance(file, ModelFile)
    engine = support.engine(**check_settings("llama_cpp", {"threads": 1}))  # type: ignore[arg-type]
    return Trial(agent.device.id, file, engine, Workload("w", 8, output_tokens))


@pytest.mark.ray
def test_a_local_fleet_prepares_measures_and_outlives_its_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "tiny-F16.gguf")
    with local_fleet(("auto",)) as (agent,):
        assert agent.device.engines["llama_cpp"]
        _refuses_by_data(agent, tmp_path)
        long = trial_on(agent, path, Quantization.F16, output_tokens=500)
        short = trial_on(agent, path, Quantization.Q8_0, output_tokens=4)
        results = _killing_the_agent_in_its_first_trial(agent, long, short)
    lost, measured = results
    assert isinstance(lost, RoundResult)
    assert lost.trial.id == long.id
    assert lost.failure is not None
    assert lost.failure.kind == "DispatchError"
    assert isinstance(measured, RoundResult)
    assert measured.trial.id == short.id
    assert measured.failure is None


def candidate(path: Path) -> Candidate:
    request = ModelRequest("tiny", Source.FILE, str(path), Quantization.Q8_0)
    engine = support.engine(**check_settings("llama_cpp", {"threads": 1}))  # type: ignore[arg-type]
    return Candidate(request, engine, Workload("w", prompt_tokens=8, output_tokens=4))


@pytest.mark.ray
def test_what_a_fresh_agent_has_already_costs_no_disk_here_and_does_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    asked = candidate(write_gguf(tmp_path / "tiny-F16.gguf"))
    made = prepare(asked.request, Cache.of_this_device(), 10**12)
    with local_fleet(()) as (agent,):
        (here,) = agent.forecast((asked,))
        (elsewhere,) = agent.forecast((asked,), here=False)
    assert elsewhere.disk_bytes == made.file_bytes
    assert here.disk_bytes == 0


@pytest.mark.ray
def test_a_cache_that_cannot_be_opened_is_a_failure_of_each_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "plenty")
    with local_fleet(()) as (agent,):
        (told,) = agent.forecast((candidate(write_gguf(tmp_path / "tiny-F16.gguf")),))
    assert told.failure is not None
    assert told.failure.kind == "UsageError"
    assert "plenty" in told.failure.message


@pytest.mark.ray
def test_a_fleet_ends_with_all_of_its_processes_however_slowly_they_die(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = subprocess.Popen.wait

    def slow(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout == 1:
            raise subprocess.TimeoutExpired(process.args, timeout)
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", slow)
    before = {child.pid for child in psutil.Process().children()}
    with local_fleet(()):
        started = {child.pid for child in psutil.Process().children()} - before
    # One that is dead but was not waited for is a child still.
    assert started
    assert not started & {child.pid for child in psutil.Process().children()}


@pytest.mark.ray
def test_a_model_that_is_fetched_tells_how_far_it_is_while_its_agent_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_gguf(tmp_path / "m.gguf", Shape(layers=6)).read_bytes()
    told: list[Progress] = []
    half = threading.Event()

    def show(progress: Progress) -> None:
        told.append(progress)
        half.set()

    with hub_server.running() as hub:
        hub.add("ACME/Tiny", {"m.gguf": content})
        hub.storage_faults.append(hub_server.Fault(break_after_bytes=len(content) // 2, held=half))
        monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        location = f"ACME/Tiny/m.gguf@{hub_server.COMMIT}"
        with local_fleet(()) as (agent,):
            found = agent.prepare(ModelRequest("m", Source.HUB, location), show)
    assert isinstance(found, ModelFile)
    assert found.sha256 == hub_server.sha256(content)
    assert told[0].what == "fetching m.gguf"
    assert 0 < told[0].done_bytes <= len(content) // 2
    assert {each.total_bytes for each in told} == {len(content)}


def _refuses_by_data(agent: RemoteAgent, folder: Path) -> None:
    missing = agent.prepare(ModelRequest("m", Source.FILE, str(folder / "none.gguf")))
    assert isinstance(missing, Failure)
    assert missing.kind == "ModelMissing"
    with pytest.raises(UsageError, match="no such text"):
        agent.text_sha256("no such text")
    with pytest.raises(DataMissing, match=r"none\.jsonl"):
        agent.look_up(Exam(str(folder / "none.jsonl"), "", None))


def _killing_the_agent_in_its_first_trial(
    agent: RemoteAgent, long: Trial, short: Trial
) -> list[Result]:
    policy = RepeatPolicy(warmups=0, at_least=200, at_most=200)
    work = Agenda([Step(long, 0), Step(short, 0)], [], Terms(policy, (), 120.0), {})
    killers: list[threading.Thread] = []

    def started(_: Device, order: Order) -> None:
        if isinstance(order, Measurement) and order.trial.id == long.id:
            killers.append(threading.Thread(target=_kill_the_agent_once_it_measures))
            killers[0].start()

    results = list(dispatch([agent], {agent.device.id: work}, started))
    killers[0].join()
    return results


def _kill_the_agent_once_it_measures() -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for child in psutil.Process().children(recursive=True):
            try:
                if "odllm_agent.worker measure" in " ".join(child.cmdline()):
                    agent = child.parent()
                    assert agent is not None
                    agent.kill()
                    return
            except psutil.Error:
                continue
        time.sleep(0.05)
    raise AssertionError("no worker was ever seen")
