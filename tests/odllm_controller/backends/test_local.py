"""A real Ray of this machine alone, with a real agent."""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from odllm_agent.contract import (
    Candidate,
    Entry,
    EventKind,
    Exam,
    Failure,
    Hindrance,
    Limits,
    ModelFile,
    ModelRequest,
    Progress,
    Quantization,
    RepeatPolicy,
    Rest,
    Source,
    Tag,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.files.folders import state_root
from odllm_agent.files.lock import Claim
from odllm_agent.models import Cache, prepare
from odllm_agent.trials.schedule import Schedule, Terms
from odllm_controller.backends import agents_of, opened
from odllm_controller.planning.plan import Step
from odllm_controller.run.asking import Ask
from odllm_controller.run.dispatch import Agent, Dispatch, Fleet
from odllm_controller.run.work import Job
from tests import hub_server, support
from tests.models import Shape, write_gguf
from tests.odllm_controller.bench import eventually
from tests.odllm_controller.configs import experiment
from tests.odllm_controller.world import Books, Display
from tests.workers import workers

pytestmark = pytest.mark.ray

ASKED = experiment()
TAG = Tag("store", "run")


def resting(
    number: int = 0, limits: Limits | None = None, stored: tuple[str, ...] = ()
) -> tuple[Rest, Tag, Limits, tuple[str, ...]]:
    """What an agent is told with a second of rest, at any time."""
    return Rest("id-of-laptop", number, (), 1.0), TAG, limits or Limits(), stored


@pytest.fixture(autouse=True)
def _awkward_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket can lie in it, by its length and by its letters."""
    folder = tmp_path / "t ü" / "of-a-user"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))


@contextmanager
def local_fleet(meters: Sequence[str] = ()) -> Iterator[tuple[Fleet, Agent]]:
    with opened(ASKED.fleet, meters) as fleet:
        (agent,) = agents_of(fleet)
        yield fleet, agent


def answered(fleet: Fleet, agent: Agent, method: str, *arguments: object) -> Any:
    return fleet.answer(agent.ask(Ask(method, arguments)))


def trial_on(agent: Any, path: Path, kind: Quantization, output_tokens: int) -> Trial:
    file = agent.prepare(ModelRequest("tiny", Source.FILE, str(path), kind))
    assert isinstance(file, ModelFile)
    engine = support.engine(**check_settings("llama_cpp", {"threads": 1}))  # type: ignore[arg-type]
    return Trial(agent.device.id, file, engine, Workload("w", 8, output_tokens))


def test_an_order_whose_agent_is_killed_is_sent_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "tiny-F16.gguf")
    books = Books()
    with opened(ASKED.fleet, ()) as fleet:
        killer = threading.Thread(target=_kill_the_agent_once_it_measures, daemon=True)

        def work(agent: Agent) -> Any:
            trials = (
                trial_on(agent, path, Quantization("F16"), output_tokens=400),
                trial_on(agent, path, Quantization("Q8_0"), output_tokens=4),
            )
            killer.start()
            policy = RepeatPolicy(warmups=0, at_least=30, at_most=30)
            terms = Terms(policy, (), 120.0)
            schedule = Schedule([Step(trial, 0) for trial in trials], [], terms, {})
            nowhere: Any = None
            return Job(ASKED, agent.device, nowhere, books, Display()).work_off(schedule)  # type: ignore[arg-type]

        Dispatch(fleet, work, books, Display(), grace_s=60.0).run()
        killer.join()
    assert [result.failure for result in books.rounds()] == [None, None]
    assert [len(result.repeats) for result in books.rounds()] == [30, 30]
    assert [event.kind for event in books.events].count(EventKind.LEFT) == 1
    assert not list(state_root().rglob("*.entry"))


def test_what_an_agent_did_lies_on_its_disk_until_it_is_told_that_it_is_stored() -> None:
    with local_fleet() as (fleet, agent):
        entry: Entry = answered(fleet, agent, "carry_out", *resting())
        assert entry.rested
        assert entry.rested.failure is None
        assert answered(fleet, agent, "collect", "another", "").entries == ()
        assert answered(fleet, agent, "collect", TAG.store_id, "").entries == (entry,)
    # Another agent finds what the first has left.
    with local_fleet() as (fleet, agent):
        assert answered(fleet, agent, "collect", TAG.store_id, "").entries == (entry,)
        told = resting(stored=(entry.id,))
        later: Entry = answered(fleet, agent, "carry_out", *told)
        assert answered(fleet, agent, "collect", TAG.store_id, "").entries == (later,)
        answered(fleet, agent, "acknowledge", (later.id,))
        assert answered(fleet, agent, "collect", TAG.store_id, "").entries == ()


def test_an_agent_tells_what_it_does_while_it_does_it() -> None:
    with local_fleet() as (fleet, agent):
        assert answered(fleet, agent, "underway") is None
        ticket = None
        while (underway := answered(fleet, agent, "underway")) is None:
            # On a busy machine the rest may be over before anybody asks.
            if ticket is None or fleet.wait([ticket], 0.01):
                ticket = agent.ask(Ask("carry_out", resting(2)))
        assert (underway.what, underway.tag) == ("at rest before round 3", TAG)
        fleet.answer(ticket)
        assert answered(fleet, agent, "underway") is None


def test_a_second_agent_on_a_device_is_told_that_it_never_may() -> None:
    claim = Claim(state_root() / "agent.lock")
    assert claim.take()
    with local_fleet() as (fleet, agent):
        found: Hindrance = answered(fleet, agent, "carry_out", *resting())
        assert f"{claim.holder} measures on this device" in found.reason
        assert found.for_good
        claim.release()
        entry: Entry = answered(fleet, agent, "carry_out", *resting())
        assert entry.rested
        assert entry.rested.failure is None


def test_a_device_that_may_not_measure_now_says_so_and_does_nothing() -> None:
    with local_fleet() as (fleet, agent):
        cold = Limits(min_battery_percent=101.0, max_temperature_c=-1.0)
        found: Hindrance = answered(fleet, agent, "carry_out", *resting(limits=cold))
        assert found.reason
        assert answered(fleet, agent, "collect", TAG.store_id, "").entries == ()


def test_what_cannot_be_had_is_told_by_data(tmp_path: Path) -> None:
    with local_fleet() as (fleet, agent):
        missing = ModelRequest("m", Source.FILE, str(tmp_path / "none.gguf"))
        for method, arguments, kind in (
            ("prepare", (missing,), "ModelMissing"),
            ("text_sha256", ("no such text",), "UsageError"),
            ("look_up", (Exam(str(tmp_path / "none.jsonl"), "", None), 60.0), "DataMissing"),
        ):
            found = answered(fleet, agent, method, *arguments)
            assert isinstance(found, Failure)
            assert found.kind == kind


def candidate(path: Path) -> Candidate:
    request = ModelRequest("tiny", Source.FILE, str(path), Quantization("Q8_0"))
    engine = support.engine(**check_settings("llama_cpp", {"threads": 1}))  # type: ignore[arg-type]
    return Candidate(request, engine, Workload("w", prompt_tokens=8, output_tokens=4))


def test_what_a_fresh_agent_has_already_costs_no_disk_here_and_does_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    asked = candidate(write_gguf(tmp_path / "tiny-F16.gguf"))
    made = prepare(asked.request, Cache.of_this_device(), 10**12)
    with local_fleet() as (_, agent):
        (here,) = agent.forecast((asked,))
        (elsewhere,) = agent.forecast((asked,), here=False)
    assert elsewhere.disk_bytes == made.file_bytes
    assert here.disk_bytes == 0


def test_a_cache_that_cannot_be_opened_is_a_failure_of_each_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "plenty")
    with local_fleet() as (_, agent):
        (told,) = agent.forecast((candidate(write_gguf(tmp_path / "tiny-F16.gguf")),))
    assert told.failure is not None
    assert told.failure.kind == "UsageError"
    assert "plenty" in told.failure.message


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
    with local_fleet():
        started = {child.pid for child in psutil.Process().children()} - before
    # One that is dead but was not waited for is a child still.
    assert started
    assert not started & {child.pid for child in psutil.Process().children()}


def test_nobody_else_may_look_where_the_sockets_of_a_fleet_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A socket lies in none of pytest's folders, whose names are long.
    root = Path("/tmp", f"l{os.getpid()}")
    root.mkdir()
    monkeypatch.setenv("TMPDIR", str(root))
    with local_fleet():
        (folder,) = root.iterdir()
        assert any(each.is_socket() for each in folder.rglob("*"))
        assert folder.stat().st_mode & 0o777 == 0o700
    root.rmdir()


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
        with local_fleet() as (_, agent):
            found = agent.prepare(ModelRequest("m", Source.HUB, location), show)  # type: ignore[attr-defined]
    assert isinstance(found, ModelFile)
    assert found.sha256 == hub_server.sha256(content)
    assert told[0].what == "fetching m.gguf"
    assert 0 < told[0].done_bytes <= len(content) // 2
    assert {each.total_bytes for each in told} == {len(content)}


def _kill_the_agent_once_it_measures() -> None:
    agent = eventually(lambda: workers(psutil.Process()))[0].parent()
    assert agent is not None
    agent.kill()
