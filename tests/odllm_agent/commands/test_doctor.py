"""`odllm-agent doctor` on this very machine."""

import json
from pathlib import Path

import pytest

from odllm_agent import engines
from odllm_agent.cli import main
from odllm_agent.doctor import device
from odllm_agent.files.small_files import read_text
from odllm_agent.host import linux, state

ENERGY = Path(__file__).parents[3] / "docs" / "energy.md"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_table_tells_what_can_be_measured_and_what_is_in_the_way(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert device.describe().cpu in told
    for name, version in engines.versions().items():
        assert f"{name} " in told
        assert version in told
    assert "energy of package" in told
    assert str(cache) in told
    assert all(line == line.rstrip() for line in told.splitlines())


def test_json_is_the_same_for_a_script(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["device"]["id"] == device.describe().id
    verdicts = {each["subject"]: each["verdict"] for each in told["findings"]}
    assert verdicts["model cache"] == verdicts["llama_cpp"] == "fine"
    methods = {each["quantity"]: each["method"] for each in told["abilities"]}
    now = state.read_state()
    assert (methods["temperature"] == "measured") == (now.temperature_c is not None)
    cpuinfo = read_text(Path("/proc/cpuinfo")) or ""
    assert ("hypervisor" in verdicts) == linux.is_virtual(cpuinfo)


def test_a_cache_that_cannot_be_written_is_a_fault_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "missing" in told
    assert "-> set ODLLM_CACHE_DIR" in told


def test_a_device_without_engines_is_a_fault(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("llama_cpp", "openvino"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('there is nothing here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ODLLM_BUILDS_DIR", str(tmp_path / "builds"))
    assert main(["doctor"]) == 1
    assert "-> pip install llama-cpp-python" in capsys.readouterr().out


def test_the_udev_rules_are_those_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--udev"]) == 0
    *comments, rule = capsys.readouterr().out.splitlines()
    assert all(line.startswith("#") for line in comments)
    assert rule in ENERGY.read_text("utf-8")


def test_help_shows_how_to_install_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    assert "odllm-agent doctor --udev | sudo tee" in capsys.readouterr().out
