from pathlib import Path

import pytest

from benchmarks.agreement import main
from odllm_agent.files.folders import ROOT_VARIABLE
from tests.models import TINY, write_gguf


def test_a_file_in_f16_is_answered_alike_by_both_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "tiny-F16.gguf", TINY)

    assert main(["reference", str(path), "--windows=1", "--tokens=64", "--threads=1"]) == 0

    (line,) = (each for each in capfd.readouterr().out.splitlines() if "tiny-F16" in each)
    _, name, theirs, ours, _, kld, top, _ = (cell.strip() for cell in line.split("|"))
    assert name == "tiny-F16"
    assert float(ours) == pytest.approx(float(theirs), rel=1e-3)
    assert float(kld.split()[0]) < 1e-5
    assert float(top.rstrip("%")) > 90


def test_a_file_that_openvino_does_not_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "tiny-BF16.gguf", TINY, kind="BF16")

    assert main(["reference", str(path)]) == 1

    assert "no tensor type BF16" in capfd.readouterr().err
