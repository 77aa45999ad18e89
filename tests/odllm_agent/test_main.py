"""The agent's command line, without Ray and without a network."""

import dataclasses
import json
from pathlib import Path

import pytest

from odllm_agent.__main__ import main
from odllm_agent.contract import (
    Device,
    Measurement,
    RepeatPolicy,
    RoundResult,
    Trial,
    Workload,
    from_json,
    to_json,
)
from odllm_agent.device import describe
from odllm_agent.settings import check_settings
from tests import support
from tests.models import write_gguf


def measurement(path: Path) -> Measurement:
    model = dataclasses.replace(support.model_file(quantization="F16"), path=str(path))
    engine = dataclasses.replace(
        support.engine(), settings=check_settings("llama_cpp", {"threads": 1})
    )
    trial = Trial("another device", model, engine, Workload("w", 8, 4))
    return Measurement(trial, 0, RepeatPolicy(1, 1, 1))


def test_trials_of_a_file_are_measured_and_written_as_they_are_made(tmp_path: Path) -> None:
    good = measurement(write_gguf(tmp_path / "tiny-F16.gguf"))
    bad = measurement(tmp_path / "missing.gguf")
    trials, out = tmp_path / "trials.jsonl", tmp_path / "results.jsonl"
    trials.write_text(f"{to_json(bad)}\n{to_json(good)}\n")
    assert main(["run", str(trials), "--out", str(out)]) == 3
    failed, measured = (from_json(RoundResult, line) for line in out.read_text().splitlines())
    assert failed.failure is not None
    assert measured.failure is None
    assert len(measured.repeats) == 2
    assert measured.trial.device_id == describe().id


def test_a_line_that_is_no_measurement_is_wrong_usage_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = tmp_path / "trials.jsonl"
    trials.write_text('{"trial": 1}\n')
    assert main(["run", str(trials)]) == 2
    assert "line 1 of" in capsys.readouterr().err


def test_a_missing_file_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_describe_tells_this_device_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 0
    line = capsys.readouterr().out
    assert json.loads(line)["engines"]["llama_cpp"]
    assert from_json(Device, line) == describe()


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "odllm-agent run trials.jsonl" in capsys.readouterr().out
