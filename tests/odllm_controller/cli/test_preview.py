"""`odllm plan`: real Hydra, real Ray, real llama.cpp, and nothing left behind."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from odllm_agent.contract import Failure, Forecast, to_json
from odllm_agent.errors import UsageError
from odllm_controller.cli import preview as command
from odllm_controller.cli.main import _plan, main
from odllm_controller.cli.preview import PlanOptions, preview
from odllm_controller.run.dispatch import Sighting
from odllm_controller.store import Store
from tests import family, support
from tests.models import write_gguf, write_ir_folder
from tests.odllm_controller.configs import experiment

KEYS = (
    "device",
    "model",
    "quantization",
    "engine",
    "file_bpw",
    "file_bytes",
    "memory_bytes",
    "fits",
    "reason",
)


@dataclasses.dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path


def plan(folder: Path, *arguments: str) -> Ended:
    done = subprocess.run(
        [sys.executable, "-m", "odllm_controller", "plan", *arguments],
        cwd=folder / "here",
        env={**os.environ, "ODLLM_CACHE_DIR": str(folder / "cache"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=family.PATIENCE_S,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.ray
def test_a_plan_tells_what_is_needed_and_leaves_nothing_behind(folder: Path) -> None:
    model = write_gguf(folder / "tiny-F16.gguf")
    overrides = [
        "+experiment=reference",
        "engine=[llama_cpp]",
        "model=[file]",
        f"models.file.path={model}",
    ]
    overrides += ["models.file.quantizations=[as_is,Q4_0]"]
    ended = plan(folder, *overrides, "--json")
    assert ended.status == 0, ended.err
    as_is, quantized = json.loads(ended.out)
    assert tuple(as_is)[: len(KEYS)] == KEYS
    assert (as_is["quantization"], quantized["quantization"]) == ("F16", "Q4_0")
    assert as_is["file_bytes"] == model.stat().st_size
    assert (as_is["disk_bytes"], quantized["disk_bytes"]) == (0, quantized["file_bytes"])
    assert 4.5 < quantized["file_bpw"] < 6 < as_is["file_bpw"]
    assert as_is["fits"] is quantized["fits"] is True
    assert as_is["memory_bytes"] > as_is["file_bytes"]
    assert sorted(folder.rglob("*")) == [folder / "here", model]


@pytest.mark.ray
def test_a_page_that_was_saved_under_a_model_s_name_is_told_and_not_counted(folder: Path) -> None:
    page = folder / "mit leer zeichen ü=1,2.gguf"
    page.write_text("<!DOCTYPE html> <html><body>Access denied</body></html>")
    found = plan(folder, "+experiment=smoke", "model=[file]", f"models.file.path={page}")
    assert found.status == 3, found.err
    assert "0 can run, 0 cannot, of 1 nothing can be told" in found.out
    told = " ".join(found.out.split())
    assert f"{page} is no usable GGUF file: it does not start with GGUF: it is an HTML page" in told
    assert "download it again" in told


@pytest.mark.ray
def test_a_folder_in_openvino_s_form_is_planned_for_the_engine_that_runs_it(folder: Path) -> None:
    (folder / "model").mkdir()
    model = write_ir_folder(folder / "model")
    overrides = ["+experiment=reference", "model=[file]", f"models.file.path={model}"]
    overrides += ["engine=[llama_cpp,openvino]"]
    ended = plan(folder, *overrides, "--json")
    assert ended.status == 0, ended.err
    rows = {row["engine"]: row for row in json.loads(ended.out)}
    assert {name: row["fits"] for name, row in rows.items()} == {
        "llama_cpp": False,
        "openvino": True,
    }
    assert "llama.cpp reads GGUF files" in rows["llama_cpp"]["reason"]
    assert rows["openvino"]["memory_bytes"] is None
    assert "before it has loaded" in rows["openvino"]["reason"]
    assert rows["openvino"]["quantization"] == "FP16"
    files = ("openvino_model.xml", "openvino_model.bin", "config.json")
    assert rows["openvino"]["file_bytes"] == sum((model / name).stat().st_size for name in files)


@pytest.mark.ray
def test_a_14b_sweep_on_another_device_names_what_fits_without_making_a_file(folder: Path) -> None:
    laptop = support.device(ram_bytes=16 * 2**30)
    described = folder / "laptop.json"
    described.write_text(to_json(laptop))
    overrides = ["+experiment=reference", "engine=[llama_cpp]", "model=[file]", "~models.file"]
    overrides += ["+models.big={source:shape,architecture:qwen2.5-14B}"]
    overrides += ["quantizations=[F16,Q8_0,Q4_K_M,Q2_K]"]
    ended = plan(folder, *overrides, "--device-file", str(described))
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    fits = {
        kind: next(line.split() for line in lines if line.startswith(f"big    {kind} "))
        for kind in ("F16", "Q8_0", "Q4_K_M", "Q2_K")
    }
    assert {kind: "yes" in words for kind, words in fits.items()} == {
        "F16": False,
        "Q8_0": False,
        "Q4_K_M": True,
        "Q2_K": True,
    }
    assert sum(line.startswith("skipped: big") for line in lines) == 2
    assert "laptop: 2 can run, 2 cannot" in ended.out
    assert "2.0 of 17.2 GB are assumed to be in use" in ended.out
    assert "assumed to be read at" in ended.out
    assert sorted(folder.rglob("*")) == [folder / "here", described]


def test_help_shows_examples_and_needs_no_experiment(folder: Path) -> None:
    ended = plan(folder, "--help")
    assert ended.status == 0
    assert "odllm plan +experiment=sweep --json" in ended.out
    assert "--device-file" in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["+experiment=nonsense"], "nonsense"),
        (["+experiment=smoke", "rounds=three"], "rounds='three'"),
        (["+experiment=smoke", "--device-file", "/none.json"], "/none.json describes no device"),
    ],
)
def test_a_wrong_word_is_wrong_usage(folder: Path, arguments: list[str], told: str) -> None:
    ended = plan(folder, *arguments)
    assert ended.status == 2, ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err


class Fleet:
    """A fleet whose agent tells what it was made with."""

    def __init__(self, *forecasts: Forecast) -> None:
        self.forecasts = forecasts
        self.device = support.device()

    settled = True

    def look(self) -> Sighting:
        return Sighting((self,))  # type: ignore[arg-type]  # only what is asked for here

    def forecast(self, _: object, *, here: bool = True) -> tuple[Forecast, ...]:
        return self.forecasts


def previewed(
    monkeypatch: pytest.MonkeyPatch, path: Path, *forecasts: Forecast, width: int = 200
) -> tuple[bool, str]:
    monkeypatch.setattr(command, "opened", lambda *_: nullcontext(Fleet(*forecasts)))
    paper = io.StringIO()
    told = preview(
        experiment(f"store.path={path}"), PlanOptions(), Console(file=paper, width=width)
    )
    return told, paper.getvalue()


def test_earlier_results_make_the_estimate_and_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "odllm.duckdb"
    store = Store.open(path)
    store.add_round("run-1", support.round_result())
    before = path.read_bytes()
    told, text = previewed(monkeypatch, path, support.forecast())
    assert told
    assert "stored" in text
    assert "assumed" not in text
    assert "1 can run, 0 cannot" in text
    assert path.read_bytes() == before


def test_of_a_model_that_is_missing_nothing_is_told_but_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = dataclasses.replace(
        support.forecast(),
        model=None,
        memory=None,
        failure=support.failed_round().failure,
    )
    told, text = previewed(monkeypatch, tmp_path / "none.duckdb", gone, support.forecast())
    assert not told
    assert "unknown: reference-1.6M Q4_0 with llama_cpp: the worker was killed" in text
    assert "–" in text


def test_settings_that_differ_tell_rows_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forecasts = [support.forecast(of=support.engine(kv_type_k=kind)) for kind in ("f16", "q8_0")]
    _, text = previewed(monkeypatch, tmp_path / "none.duckdb", *forecasts)
    assert "llama_cpp, kv_type_k f16" in text
    assert "llama_cpp, kv_type_k q8_0" in text
    assert "threads" not in text


def test_a_file_that_describes_no_device_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    for content in ("", "[]", '{"id": 1}', "nonsense"):
        wrong.write_text(content)
        with pytest.raises(UsageError, match="describes no device"):
            preview(experiment(), PlanOptions(device_file=wrong), Console(file=io.StringIO()))


def test_a_file_of_what_to_do_is_for_a_device_that_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "+experiment=sweep", "--out", "trials.json"])
    assert ended.value.code == 2
    assert "--out needs --device-file" in capsys.readouterr().err
    words = ["--device-file", "d.json", "+experiment=sweep", "--out", "trials.json"]
    _, asked, _ = _plan.parse_args(words)
    assert asked.kwargs["options"] == PlanOptions(
        device_file=Path("d.json"), out=Path("trials.json")
    )
    assert asked.args == ("+experiment=sweep",)


def test_what_is_longer_than_the_model_was_made_for_is_noted_and_stands_in_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = support.forecast()
    workload = dataclasses.replace(short.candidate.workload, prompt_tokens=3000)
    long = dataclasses.replace(
        short, candidate=dataclasses.replace(short.candidate, workload=workload)
    )
    told, text = previewed(monkeypatch, tmp_path / "none.duckdb", short, long)
    assert told
    assert "3,064 of 256" in text
    assert "note: laptop: reference-1.6M Q4_0 with the workload short: 3,064 tokens" in text
    _, text = previewed(monkeypatch, tmp_path / "none.duckdb", short)
    assert " of 256" not in text


def test_what_is_unknown_is_counted_apart_and_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failure = Failure(
        "ModelInvalid",
        "/m.gguf is an HTML page",
        "download it again",
        log="one\ntwo\n\nlast words\n",
    )
    page = dataclasses.replace(support.forecast(), model=None, memory=None, failure=failure)
    told, text = previewed(monkeypatch, tmp_path / "none.duckdb", page)
    assert not told
    assert "0 can run, 0 cannot, of 1 nothing can be told" in text
    assert "unknown: reference-1.6M Q4_0 with llama_cpp: /m.gguf is an HTML page" in text
    assert "    download it again\n    one\n    two\n    last words\n" in text
