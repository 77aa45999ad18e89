"""The worker's process, really started and really killed."""

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from odllm_agent.clock import now
from odllm_agent.contract import (
    CeilingsOrder,
    Cooldown,
    Measurement,
    ModelFile,
    Reading,
    RepeatPolicy,
    RoundResult,
    Stopped,
    Trial,
    Workload,
    to_json,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.host import state
from odllm_agent.trials.worker import run_ceilings, run_check, run_round
from tests import family, support
from tests.models import write_gguf
from tests.workers import answers, workers

SHORT = Workload("short", prompt_tokens=8, output_tokens=4)
LONG = Workload("long", prompt_tokens=8, output_tokens=900)
THREADS = {"threads": 1}
ENDLESS = RepeatPolicy(warmups=1, at_least=100_000, at_most=100_000)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    path = write_gguf(tmp_path_factory.mktemp("model") / "tiny-F16.gguf")
    return dataclasses.replace(support.model_file(quantization="F16"), path=str(path))


def order(
    model: ModelFile,
    policy: RepeatPolicy,
    workload: Workload = SHORT,
    deadline_s: float = 2 * family.PATIENCE_S,
) -> Measurement:
    engine = dataclasses.replace(
        support.engine(), settings=check_settings("llama_cpp", {"threads": 1})
    )
    return Measurement(Trial("d", model, engine, workload), 1, policy, deadline_s=deadline_s)


def test_ceilings_come_back_from_a_process_of_their_own() -> None:
    engine = dataclasses.replace(support.engine(), settings=check_settings("llama_cpp", THREADS))
    found = run_ceilings(CeilingsOrder("d", engine, ("Q9_9",), deadline_s=120))
    assert [(each.name, each.per_s) for each in found.found] == [("Q9_9", None)]
    assert "Q9_9" in found.found[0].reason
    assert found.failure is None


def test_ceilings_that_take_too_long_are_a_failure_and_no_figures() -> None:
    found = run_ceilings(CeilingsOrder("d", support.engine(), ("F16",), deadline_s=0.01))
    assert found.found == ()
    assert found.failure is not None
    assert found.failure.kind == "WorkerLate"


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + family.PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def end_all(how: signal.Signals) -> None:
    for worker in workers(psutil.Process()):
        worker.send_signal(how)


def run_and_end(
    asked: Sequence[Measurement], answered: Callable[[str], bool], how: signal.Signals
) -> list[RoundResult]:
    """Runs rounds at once, and ends all workers once each has answered what is waited for."""

    def all_answered() -> bool:
        found = workers(psutil.Process())
        return len(found) == len(asked) and all(answered(answers(each)) for each in found)

    with ThreadPoolExecutor(len(asked)) as pool:
        running = [pool.submit(run_round, each) for each in asked]
        try:
            eventually(all_answered)
        except BaseException:
            end_all(signal.SIGKILL)
            raise
        end_all(how)
        return [each.result() for each in running]


def run_and_kill(asked: Measurement, how: signal.Signals) -> RoundResult:
    """Runs a round and ends its worker in the middle of a decode, after some repeats."""
    (result,) = run_and_end([asked], lambda said: said.count('"Repeat"') >= 3, how)
    return result


def test_a_round_tells_what_its_engine_held_and_what_the_device_had_left(model: ModelFile) -> None:
    result = run_round(order(model, RepeatPolicy(warmups=0, at_least=1, at_most=1)))
    assert result.finished is not None
    held = result.finished.held
    assert held.kv_bytes
    assert held.compute_bytes
    assert held.loaded_bytes is not None
    assert held.kv_bytes + held.loaded_bytes < (held.anonymous_bytes or 0)
    assert held.reason == ""
    assert (result.available_before_bytes or 0) > 0
    assert (result.available_after_bytes or 0) > 0


def test_a_round_waits_for_the_device_before_its_worker_is_started(model: ModelFile) -> None:
    policy, pause = RepeatPolicy(warmups=0, at_least=1, at_most=1), Cooldown(pause_s=0.2)
    asked_at = now()
    result = run_round(dataclasses.replace(order(model, policy), cooldown=pause))
    assert result.waited_s >= 0.2
    assert (result.started_at - asked_at).total_seconds() >= 0.2
    assert result.failure is None


def test_a_temperature_that_is_not_told_is_refused_as_data(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "temperature_c", lambda: None)
    asked = dataclasses.replace(order(model, RepeatPolicy()), cooldown=Cooldown(below_c=60))
    result = run_round(asked)
    assert result.failure is not None
    assert result.failure.kind == "SettingError"
    assert "cooldown.below_c" in result.failure.message
    assert result.repeats == ()


def test_a_round_comes_back_whole(model: ModelFile) -> None:
    asked = order(model, RepeatPolicy(warmups=1, at_least=2, at_most=2))
    result = run_round(asked)
    assert result.failure is None
    assert result.trial == asked.trial
    assert result.round == 1
    assert result.loaded is not None
    assert [each.warmup for each in result.repeats] == [True, False, False]
    assert result.stopped is Stopped.CAP
    measured_s = sum(each.prefill_s + each.decode_s for each in result.repeats)
    assert result.wall_s > result.loaded.load_s + measured_s


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker's answers through /proc")
def test_a_worker_killed_in_a_decode_keeps_what_it_had_measured(model: ModelFile) -> None:
    result = run_and_kill(order(model, ENDLESS, LONG), signal.SIGKILL)
    assert result.failure is not None
    assert result.failure.kind == "WorkerDied"
    assert result.failure.signal == "SIGKILL"
    assert "out-of-memory" in result.failure.remedy
    assert len(result.repeats) >= 3
    assert result.stopped is Stopped.FAILED


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker's answers through /proc")
def test_a_crash_names_its_signal(model: ModelFile) -> None:
    result = run_and_kill(order(model, ENDLESS, LONG), signal.SIGSEGV)
    assert result.failure is not None
    assert result.failure.signal == "SIGSEGV"
    assert result.failure.message == (
        f"llama_cpp was ended by SIGSEGV while it measured {model.label}"
    )
    assert "llama" in result.failure.log


def test_a_worker_that_takes_too_long_is_ended_and_says_so(model: ModelFile) -> None:
    result = run_round(order(model, ENDLESS, LONG, deadline_s=1.5))
    assert result.failure is not None
    assert "not ended after 1.5 s" in result.failure.message
    assert "deadline_s" in result.failure.remedy


def test_a_file_that_the_engine_refuses_comes_back_as_data(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    model = dataclasses.replace(support.model_file(), path=str(broken))
    result = run_round(order(model, RepeatPolicy()))
    assert result.failure is not None
    assert result.failure.kind == "EngineError"
    assert "broken.gguf" in result.failure.message
    assert "failed to load model" in result.failure.log


def test_a_setting_that_cannot_be_honoured_comes_back_as_data(model: ModelFile) -> None:
    asked = order(model, RepeatPolicy())
    engine = dataclasses.replace(asked.trial.engine, settings={"threads": 1, "warp": 9})
    trial = dataclasses.replace(asked.trial, engine=engine)
    result = run_round(dataclasses.replace(asked, trial=trial))
    assert result.failure is not None
    assert result.failure.kind == "SettingError"
    assert "'warp'" in result.failure.message


def test_a_trial_loads_nothing_that_would_be_counted_to_its_model() -> None:
    code = "import sys, odllm_agent.trials.worker, odllm_agent.trials.trial;"
    code += "import odllm_agent.engines.llama_cpp.session;"
    code += "print(*{'numpy', 'jinja2', 'diskcache', 'gguf', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_worker_ends_when_its_agent_is_gone(model: ModelFile) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "odllm_agent.trials.worker", "measure"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(to_json(order(model, ENDLESS, LONG)).encode() + b"\n")
            worker.stdin.flush()
            assert b"Loaded" in worker.stdout.readline()
            worker.stdin.close()
            assert worker.wait(family.PATIENCE_S) == 1
        finally:
            worker.kill()


def test_a_quality_check_runs_in_a_worker_too(model: ModelFile) -> None:
    engine = order(model, RepeatPolicy()).trial.engine
    reading = Reading("no such text", "", 64, None, ("perplexity",))
    result = run_check(support.quality_check(model, engine=engine, reading=reading))
    assert result.scores == ()
    assert result.failure is not None
    assert "no such text" in result.failure.message


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker's answers through /proc")
def test_two_agents_that_measure_at_once_flag_each_other(model: ModelFile) -> None:
    asked = [order(model, ENDLESS, LONG)] * 2
    # Whichever starts first measures alone for a while.
    found = run_and_end(asked, lambda said: '"busy"' in said, signal.SIGKILL)
    for each in found:
        assert any("busy" in repeat.flags for repeat in each.repeats)
