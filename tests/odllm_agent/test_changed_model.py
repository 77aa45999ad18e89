"""Rounds and quality checks on model files that are changed meanwhile, by real engines."""

import dataclasses
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from odllm_agent.cache import Cache
from odllm_agent.contract import (
    Failure,
    Measurement,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Quantization,
    Reading,
    RepeatPolicy,
    RoundResult,
    Source,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.models import prepare
from odllm_agent.texts.text import text_sha256
from odllm_agent.trials.worker import run_check, run_round
from tests import family, support
from tests.models import Shape, write_gguf, write_split_gguf
from tests.workers import answers, workers

QUICK = RepeatPolicy(warmups=0, at_least=1, at_most=1)
LENGTHY = RepeatPolicy(warmups=0, at_least=40, at_most=40)
SHORT = Workload("short", prompt_tokens=8, output_tokens=4)
LONG = Workload("long", prompt_tokens=8, output_tokens=200)


def prepared(path: Path, cache: Cache, quantization: Quantization | None = None) -> ModelFile:
    return prepare(ModelRequest("mine", Source.FILE, str(path), quantization), cache, 10**12)


def order(
    model: ModelFile,
    policy: RepeatPolicy = QUICK,
    engine: str = "llama_cpp",
    workload: Workload = SHORT,
) -> Measurement:
    # On one thread OpenVINO cannot run F16 on some processors.
    settings = check_settings(engine, {"threads": 2 if engine == "openvino" else 1})
    used = dataclasses.replace(support.engine(), name=engine, settings=settings)
    return Measurement(Trial("d", model, used, workload), 0, policy, deadline_s=240)


def check(model: ModelFile, base: ModelFile | None = None) -> QualityCheck:
    reading = Reading("reference", text_sha256("reference"), 64, 1, ("perplexity",))
    used = order(model).trial.engine
    return QualityCheck("d", model, used, reading=reading, base=base, deadline_s=240)


def replace(path: Path) -> None:
    write_gguf(path.with_suffix(".new"), seed=1).replace(path)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(50_000))


def copy_over(path: Path) -> None:
    shutil.copyfile(write_gguf(path.with_suffix(".other"), seed=2), path)


def shorten(path: Path) -> None:
    os.truncate(path, 20_000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def relink(path: Path) -> None:
    other = write_gguf(path.with_suffix(".other"), seed=3)
    path.unlink()
    path.symlink_to(other)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "replaced": (replace, "was replaced by another file"),
    "overwritten": (overwrite, "was changed in place"),
    "copied over": (copy_over, "was changed in place"),
    "shortened": (shorten, "became shorter"),
    "emptied": (empty, "became shorter"),
    "removed": (Path.unlink, "was removed"),
    "linked elsewhere": (relink, "was replaced by another file"),
}


def told_of(failure: Failure | None, path: Path, told: str) -> None:
    assert failure is not None
    assert failure.kind == "ModelChanged"
    assert failure.message.startswith(f"{path} {told}")


@pytest.mark.parametrize("kind", CHANGES)
def test_a_round_on_a_file_that_has_changed_since_is_not_begun(
    kind: str, tmp_path: Path, cache: Cache
) -> None:
    path = write_gguf(tmp_path / "mine.gguf")
    model = prepared(path, cache)
    change, told = CHANGES[kind]
    change(path)
    result = run_round(order(model))
    told_of(result.failure, path, told)
    assert (result.loaded, result.repeats, result.complete) == (None, (), False)
    told_of(run_check(check(model)).failure, path, told)


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + family.PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def run_and_change(asked: Measurement, change: Callable[[], None]) -> RoundResult:
    """Runs a round, and changes something while its worker is in the middle of it."""

    def measuring() -> list[psutil.Process]:
        return [each for each in workers(psutil.Process()) if '"Repeat"' in answers(each)]

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_round, asked)
        eventually(lambda: running.done() or bool(measuring()))
        (worker,) = measuring()
        worker.suspend()
        change()
        worker.resume()
        return running.result()


@pytest.mark.parametrize("kind", CHANGES)
def test_nothing_of_a_round_counts_whose_file_changes_in_the_middle(
    kind: str, tmp_path: Path, cache: Cache
) -> None:
    path = write_gguf(tmp_path / "mine.gguf")
    change, told = CHANGES[kind]
    asked = order(prepared(path, cache), LENGTHY, workload=LONG)
    result = run_and_change(asked, lambda: change(path))
    told_of(result.failure, path, told)
    assert (result.loaded, result.repeats, result.finished) == (None, (), None)
    if kind == "emptied":
        assert result.failure is not None
        assert result.failure.signal == "SIGBUS"
        assert "and llama_cpp was ended by SIGBUS while it measured" in result.failure.message


def test_a_file_that_was_only_touched_or_copied_back_is_measured(
    tmp_path: Path, cache: Cache
) -> None:
    path = write_gguf(tmp_path / "mine.gguf")
    model = prepared(path, cache)
    shutil.copyfile(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    os.utime(path, (1, 1))
    assert run_round(order(model)).complete


def test_another_part_of_a_split_model_counts_too(tmp_path: Path, cache: Cache) -> None:
    parts = write_split_gguf(tmp_path)
    model = prepared(parts[0], cache)
    assert len(model.files) == len(parts)
    assert run_round(order(model)).complete
    overwrite(parts[-1])
    told_of(run_round(order(model)).failure, parts[-1], "was changed in place")


def test_a_file_of_the_cache_counts_too(tmp_path: Path, cache: Cache) -> None:
    source = write_gguf(tmp_path / "mine.gguf")
    model = prepared(source, cache, Quantization("Q5_0"))
    source.unlink()
    assert run_round(order(model)).complete
    shorten(Path(model.path))
    told_of(run_round(order(model)).failure, Path(model.path), "became shorter")


def test_the_file_that_another_is_compared_with_counts_too(tmp_path: Path, cache: Cache) -> None:
    path = write_gguf(tmp_path / "base.gguf")
    base, model = prepared(path, cache), prepared(path, cache, Quantization("Q4_0"))
    replace(path)
    told_of(run_check(check(model, base)).failure, path, "was replaced by another file")


def test_a_file_exchanged_between_two_runs_is_another_model(tmp_path: Path, cache: Cache) -> None:
    path = write_gguf(tmp_path / "mine.gguf")
    before = prepared(path, cache)
    replace(path)
    after = prepared(path, cache)
    assert order(before).trial.id != order(after).trial.id
    assert run_round(order(after)).complete


def test_openvino_does_not_measure_what_was_converted_of_another_file(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(cache.root))
    path = write_gguf(tmp_path / "mine.gguf")
    model = prepared(path, cache)
    assert run_round(order(model, engine="openvino")).complete
    replace(path)
    result = run_round(order(model, engine="openvino"))
    told_of(result.failure, path, "was replaced by another file")


@pytest.mark.parametrize("engine", ["llama_cpp", "openvino"])
def test_a_prompt_longer_than_the_model_was_made_for_is_measured(
    engine: str, tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(cache.root))
    path = write_gguf(tmp_path / "mine.gguf", Shape(context_tokens=8))
    result = run_round(order(prepared(path, cache), engine=engine))
    assert result.complete
