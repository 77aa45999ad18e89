"""`odllm-agent run`: real engine, real files, real kills; neither Ray nor a network."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.cli import main
from odllm_agent.contract import (
    Baseline,
    Ceilings,
    ModelRequest,
    QualityResult,
    Quantization,
    Reading,
    RoundResult,
    Source,
    to_json,
)
from odllm_agent.doctor import device
from odllm_agent.failures import LeftOut
from odllm_agent.files.lock import Claim
from odllm_agent.offline.assignment import Assignment
from odllm_agent.offline.logbook import (
    Closing,
    Entry,
    Opening,
    Planned,
    RunStatus,
    Unprepared,
    entries,
)
from tests import family, support
from tests.models import Shape, write_gguf
from tests.odllm_controller.crashing import crashing_at

REPOSITORY = Path(__file__).parents[3]
READING = Reading("reference", "", 16, 2, ("perplexity",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ODLLM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def tiny(folder: Path) -> ModelRequest:
    path = write_gguf(folder / "tiny-F16.gguf")
    return ModelRequest("tiny", Source.FILE, str(path), Quantization("Q4_0"))


def written(folder: Path, asked: Assignment, *, here: bool = True) -> list[str]:
    """The command line that carries an assignment out."""
    ours = replace(asked, device=device.describe(meters=())) if here else asked
    (folder / "trials.json").write_text(to_json(ours))
    return ["run", str(folder / "trials.json"), "--out", str(folder / "results.jsonl")]


def found(folder: Path) -> list[Entry]:
    return [each for _, each in entries(folder / "results.jsonl")]  # type: ignore[misc]


def rounds(folder: Path) -> list[RoundResult]:
    return [each for each in found(folder) if isinstance(each, RoundResult)]


def test_models_are_made_and_everything_is_measured_in_its_order(
    folder: Path, tiny: ModelRequest
) -> None:
    other = replace(tiny, quantization=Quantization("Q8_0"))
    asked = support.assignment(tiny, other, idle_s=0.1, ceilings=True, reading=READING)
    assert main(written(folder, asked)) == 0
    opening, planned, ceilings, rest, *measured, first, second, closing = found(folder)
    assert isinstance(opening, Opening)
    assert opening.device == device.describe(meters=())
    assert isinstance(planned, Planned)
    assert [each.model.quantization for each in planned.trials] == ["Q4_0", "Q8_0"]
    assert isinstance(ceilings, Ceilings)
    assert {each.name for each in ceilings.found} >= {"read", "Q4_0", "Q8_0"}
    assert isinstance(rest, Baseline)
    assert [each.round for each in measured] == [0, 0, 1, 1]  # type: ignore[union-attr]
    for each in rounds(folder):
        assert each.complete
        assert each.trial in planned.trials
        assert [repeat.warmup for repeat in each.repeats] == [True, False]
    for check in (first, second):
        assert isinstance(check, QualityResult)
        assert check.scores[0].value
    assert isinstance(closing, Closing)
    assert closing.status is RunStatus.DONE


def test_the_same_command_goes_on_where_it_was(folder: Path, tiny: ModelRequest) -> None:
    command = written(folder, support.assignment(tiny, ceilings=True, reading=READING))
    assert main(command) == 0
    whole = found(folder)
    lines = (folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(at for at, each in enumerate(whole) if isinstance(each, RoundResult)) + 1
    (folder / "results.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][:100])
    assert main(command) == 0
    again = found(folder)[cut:]
    assert [type(each) for each in again] == [Opening, Planned, RoundResult, QualityResult, Closing]
    assert [each.round for each in rounds(folder)] == [0, 1]
    last = next(each for each in again if isinstance(each, RoundResult))
    assert last.trial == rounds(folder)[0].trial
    assert main(command) == 0
    assert [type(each) for each in found(folder)[-3:]] == [Opening, Planned, Closing]


def test_a_model_that_is_exchanged_meanwhile_fails_by_name_and_the_others_go_on(
    folder: Path, tiny: ModelRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_gguf(folder / "other.gguf", seed=1)
    other = ModelRequest("other", Source.FILE, str(path))

    def measured(name: str) -> list[RoundResult]:
        if not (folder / "results.jsonl").exists():
            return []
        # A line that is being written is no entry yet.
        every = [each for _, each in entries(folder / "results.jsonl")]
        of_rounds = [each for each in every if isinstance(each, RoundResult)]
        return [each for each in of_rounds if each.trial.model.name == name]

    def exchange() -> None:
        end = time.monotonic() + family.PATIENCE_S
        while not measured("other"):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        write_gguf(folder / "new.gguf", seed=2).replace(path)

    asked = support.assignment(other, tiny, rounds=4, rounds_at_most=4, deadline_s=600.0)
    command = written(folder, asked)
    with ThreadPoolExecutor(1) as pool:
        exchanging = pool.submit(exchange)
        assert main(command) == 3
        exchanging.result()
    assert [each.complete for each in measured("tiny")] == [True] * 4
    *whole, last = measured("other")
    assert all(each.complete for each in whole)
    assert 1 <= len(whole) <= 3
    assert last.failure is not None
    assert last.failure.kind == "ModelChanged"
    assert last.repeats == ()
    assert f"{path} was replaced by another file" in capsys.readouterr().err


def test_a_prompt_longer_than_the_model_was_made_for_is_noted(
    folder: Path, tiny: ModelRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_gguf(folder / "short.gguf", Shape(context_tokens=8))
    short = ModelRequest("short", Source.FILE, str(path))
    reading = Reading("reference", "", 16, 1, ("perplexity",))
    assert main(written(folder, support.assignment(short, tiny, rounds=1, reading=reading))) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    told = [line for line in notes if "the model was made for 8" in line]
    assert ["short F16 with the workload" in line for line in told] == [True, False]
    assert "with windows of the text reference: 16 tokens" in told[1]
    assert not any("tiny" in line for line in told)


def test_a_model_that_is_not_there_is_told_and_the_others_are_measured(
    folder: Path, tiny: ModelRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ModelRequest("gone", Source.FILE, str(folder / "gone.gguf"))
    assert main(written(folder, support.assignment(gone, tiny))) == 3
    assert "failed: gone as it is" in capsys.readouterr().err
    assert len(rounds(folder)) == 2
    (told,) = [each for each in found(folder) if isinstance(each, Unprepared)]
    assert (told.request, told.failure.kind) == (gone, "ModelMissing")


def test_a_trial_that_fails_is_told_once_and_tried_again_by_the_same_command(
    folder: Path, tiny: ModelRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    command = written(folder, support.assignment(tiny, deadline_s=0.001))
    for start in (1, 2):
        assert main(command) == 3
        assert "and was killed" in capsys.readouterr().err
        assert [each.round for each in rounds(folder)] == [0] * start


def test_failures_of_one_cause_are_told_once_and_the_rest_is_not_tried(
    folder: Path, tiny: ModelRequest
) -> None:
    short = support.assignment().workloads[0]
    more = tuple(replace(short, name=f"n{n}", output_tokens=n) for n in (2, 3, 4, 5))
    asked = support.assignment(tiny, workloads=more, reading=READING)
    crashing = crashing_at(["Q4_0"], folder / "crashing")
    ended = subprocess.run(
        [sys.executable, "-m", "odllm_agent", *written(folder, asked)],
        env=os.environ | crashing,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 3, ended.stderr
    told = ended.stderr[ended.stderr.index("failed: ") :].splitlines()
    assert sum(line.startswith("failed: ") for line in told) == 2, "the first, and how many"
    assert told[-2].startswith("failed: 3 rounds alike: llama_cpp was ended by SIGSEGV at Q4_0 (")
    assert told[-1] == (
        "not tried: 2 rounds and 1 quality check of llama_cpp at Q4_0, after 3 failed alike"
    )
    assert len(told) <= 12
    (left_out,) = [each for each in found(folder) if isinstance(each, LeftOut)]
    assert len(left_out.trial_ids) == 1


def test_nothing_to_measure_is_not_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(written(folder, support.assignment())) == 1
    assert "nothing is left to do" in capsys.readouterr().err


def test_what_is_for_another_device_is_refused_unless_any_is_meant(
    folder: Path, tiny: ModelRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    command = written(folder, support.assignment(tiny), here=False)
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "is for laptop (id id-of-laptop), and this is" in told
    assert "--any-device" in told
    assert not (folder / "results.jsonl").exists()
    assert main([*command, "--any-device"]) == 0
    here = device.describe(meters=())
    for each in rounds(folder):
        assert each.trial.device_id == here.id
        assert each.trial.engine.version == here.engines["llama_cpp"]


def test_two_agents_do_not_measure_at_once(
    folder: Path, tiny: ModelRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = Claim(folder / "state" / "agent.lock")
    assert claim.take()
    try:
        assert main(written(folder, support.assignment(tiny))) == 1
    finally:
        claim.release()
    assert f"process {os.getpid()} measures on this device" in capsys.readouterr().err


def test_a_results_file_is_needed(folder: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "trials.json"])
    assert ended.value.code == 2


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_finished(
    folder: Path, tiny: ModelRequest, end: signal.Signals
) -> None:
    command = written(folder, support.assignment(tiny, rounds=40, rounds_at_most=40))
    with subprocess.Popen(alone(folder, command), cwd=REPOSITORY) as process:
        while len(lines(folder)) < 4 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(end)
        assert process.wait(family.PATIENCE_S) == 128 + end
    kept = rounds(folder)
    assert 2 <= len(kept) < 40
    last = found(folder)[-1]
    assert isinstance(last, Closing)
    assert last.status is RunStatus.INTERRUPTED


def lines(folder: Path) -> list[bytes]:
    path = folder / "results.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


def alone(folder: Path, command: list[str]) -> list[str]:
    """The command line of the agent where Ray cannot be imported."""
    (folder / "ray").mkdir(exist_ok=True)
    (folder / "ray" / "__init__.py").write_text("raise ImportError('no Ray here')")
    path = os.pathsep.join((str(folder), str(REPOSITORY)))
    return ["env", f"PYTHONPATH={path}", sys.executable, "-m", "odllm_agent", *command]


def offline() -> list[str]:
    """What runs a command where there is no network, if this user may do that."""
    prefix = ["unshare", "--net"]
    may = (
        shutil.which("unshare")
        and not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    )
    return prefix if may else []


def test_neither_ray_nor_a_network_is_needed_for_reference_and_shape_models(folder: Path) -> None:
    reference = ModelRequest(
        "reference-1.6M", Source.REFERENCE, "reference-1.6M", Quantization("Q4_0")
    )
    shape = ModelRequest("shape-qwen2.5-0.5B", Source.SHAPE, "qwen2.5-0.5B", Quantization("Q4_0"))
    asked = support.assignment(reference, shape, rounds=1, rounds_at_most=1, reading=READING)
    # Where nothing but its network card names a machine, it is another one without a network.
    command = [*offline(), *alone(folder, written(folder, asked)), "--any-device"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [type(each) for each in found(folder)] == [
        Opening,
        Planned,
        RoundResult,
        RoundResult,
        QualityResult,
        Closing,
    ]
