"""The agent's command line, without Ray and without a network."""

import json
from pathlib import Path

import pytest

from odllm_agent.cli import main
from odllm_agent.contract import (
    Device,
    from_json,
)
from odllm_agent.doctor.device import describe


def test_describe_tells_this_device_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 0
    line = capsys.readouterr().out
    assert json.loads(line)["engines"]["llama_cpp"]
    assert from_json(Device, line) == describe()


def test_describe_writes_a_file_where_it_is_told_to(tmp_path: Path) -> None:
    assert main(["describe", "--out", str(tmp_path / "laptop.json")]) == 0
    assert from_json(Device, (tmp_path / "laptop.json").read_bytes()) == describe()
    assert main(["describe", "--out", str(tmp_path / "none" / "laptop.json")]) == 2


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "odllm-agent run trials.json --out" in capsys.readouterr().out
