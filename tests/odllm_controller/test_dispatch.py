"""Sending orders over a real Ray of this machine."""

import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from odllm_agent.agenda import Agenda, Task, Terms
from odllm_agent.contract import (
    Candidate,
    Device,
    Exam,
    Failure,
    Measurement,
    ModelFile,
    ModelRequest,
    Progress,
    Quantization,
    RepeatPolicy,
    Result,
    RoundResult,
    Source,
    Trial,
    Workload,
)
from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.models import Cache, prepare
from odllm_agent.settings import check_settings
from odllm_agent.steps import Step
from odllm_controller.dispatch import RemoteAgent, dispatch, local_fleet
from tests import hub_server, support
from tests.models import Shape, write_gguf


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

    def started(_: Device, order: Task) -> None:
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
