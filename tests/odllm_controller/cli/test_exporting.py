"""`odllm export`: what goes out comes back as it was."""

import io
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from odllm_agent.errors import UsageError
from odllm_controller import store
from odllm_controller.analysis.queries import results
from odllm_controller.cli import exporting
from odllm_controller.cli.exporting import ExportFormat, app, export
from odllm_controller.cli.importing import import_file
from odllm_controller.cli.main import _COMMANDS, DONE, FAULT, WRONG_USAGE
from odllm_controller.exchange.llama_bench.record import BUILD
from odllm_controller.overrides import line
from odllm_controller.store import Store
from tests import stores, support
from tests.odllm_controller.exchange.told import DATA

CAPTURED = DATA / "llama-bench-0c1e570.jsonl"
HOSTILE = "<b>\"quoted\", 'too'\n" + "x" * 10_000


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a trial measured, one that failed, one skipped, and llama-bench's tests."""
    path = tmp_path_factory.mktemp("full") / "odllm.duckdb"
    kept = stores.begun(path, support.device(HOSTILE, id="id-of-laptop"))
    measured = support.trial()
    failed = support.trial(support.model_file(quantization="Q8_0"))
    kept.add_plan("run-1", (measured, failed), 2)
    for index in range(2):
        repeats = [support.repeat(n, token_s=0.01 + (n + index / 2) / 1000) for n in (1, 2, 3)]
        kept.add_round("run-1", support.round_result(measured, index, tuple(repeats)))
    kept.add_round("run-1", support.failed_round(failed))
    skipped = support.trial(support.model_file(quantization="Q2_K"))
    kept.add_skips("run-1", [support.skip(skipped)])
    kept.add_quality("run-1", support.quality_result())
    kept.add_run(stores.run("run-2", stores.later(1)))
    import_file(CAPTURED, kept)
    return kept


def exported(kept: Store, out: Path, *more: str) -> str:
    told = io.StringIO()
    _, asked, _ = app.parse_args(["any", "--store", str(kept.path), *more])
    export(out, asked.kwargs["options"], Console(file=told, width=1000))
    return told.getvalue()


def rows(kept: Store) -> pd.DataFrame:
    order = "ORDER BY device, model, quantization, prompt_tokens, trial_id"
    return store.read(kept.path, f"SELECT * EXCLUDE (origin) FROM results {order}")


def nulls(kept: Store) -> list[int]:
    """How many values of each column are missing, as the store counts them."""
    names = list(rows(kept))
    counts = ", ".join(f"count(*) - count({name}) AS {name}" for name in names)
    (found,) = store.read(kept.path, f"SELECT {counts} FROM results").itertuples(index=False)
    return [int(n) for n in found]


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_another_store_has_every_figure_as_it_was(full: Store, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"r.{ending}"
    assert "7 rows of `results`" in exported(full, out)
    other = Store.open(tmp_path / "other.duckdb")
    done = import_file(out, other)
    assert (done.results, done.whole) == (7, True)
    pd.testing.assert_frame_equal(rows(other), rows(full), check_dtype=False, check_exact=True)
    assert set(nulls(full)) >= {0, 7}, "some columns have none, and some nothing else"
    assert nulls(other) == nulls(full)
    origins = set(store.read(other.path, "SELECT origin FROM results")["origin"])
    assert origins == {f"odllm (r.{ending})", "llama-bench b1 (llama-bench-0c1e570.jsonl)"}
    assert results.load(other.path)["device"].str.endswith(" (imported)").all()

    assert import_file(out, other) == done, "once more changes nothing"
    assert len(rows(other)) == 7


def test_llama_bench_lines_bring_the_same_figures_back(full: Store, tmp_path: Path) -> None:
    out = tmp_path / "bench.jsonl"
    assert "12 tests of 5 trials" in exported(full, out, "--format", "llama-bench")
    other = Store.open(tmp_path / "other.duckdb")
    assert import_file(out, other).whole
    measured = rows(full).query("status == 'done' and engine == 'llama_cpp'")
    (own,) = results.records(measured)
    came = (
        "SELECT * FROM results WHERE model = ? AND depth_tokens IN (0, 128) ORDER BY depth_tokens"
    )
    prefill, decode = results.records(store.read(other.path, came, [own["model"]]))
    assert prefill["prefill_tok_s"] == pytest.approx(own["prefill_tok_s"])
    assert (decode["prompt_tokens"], decode["output_tokens"]) == (0, 64)
    for name in ("decode_tok_s", "tpot_s", "decode_tok_s_mean"):
        assert decode[name] == pytest.approx(own[name])
    assert decode["repeats"] == own["repeats"] == 6
    assert decode["decode_tok_s_low"] == pytest.approx(own["decode_tok_s_low"], rel=0.05)
    assert (decode["quantization"], decode["file_bpw"]) == (
        own["quantization"],
        pytest.approx(own["file_bpw"], rel=1e-6),
    )


def test_a_line_has_the_fields_that_llama_bench_writes(full: Store, tmp_path: Path) -> None:
    out = tmp_path / "bench.jsonl"
    exported(full, out, "--format", "llama-bench")
    real = json.loads(CAPTURED.read_text().splitlines()[0])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    line = next(each for each in lines if each["n_gen"] == 64)
    assert {type(line[name]) for name in ("n_prompt", "n_depth", "avg_ns", "model_size")} == {int}
    assert list(line) == [*real, BUILD, "model_sha256", "seed", "trial_id"]
    assert line["poll"] is None, "ODLLM does not know it"
    assert line["build_commit"] == "abc1234"
    assert line["build_number"] is None, "ODLLM does not know it"
    assert line["avg_ts"] == pytest.approx(sum(line["samples_ts"]) / 3)
    again = [each for each in lines if each["cpu_info"] == real["cpu_info"]]
    kept = {(each["test_time"], tuple(each["samples_ns"])) for each in again}
    assert (real["test_time"], tuple(real["samples_ns"])) in kept


def test_trials_that_llama_bench_cannot_tell_apart_come_back_apart(tmp_path: Path) -> None:
    kept = stores.begun(tmp_path / "own.duckdb")
    plain = support.trial()
    of_other_file = replace(plain, model=replace(plain.model, sha256="f" * 64))
    seeded = replace(plain, workload=replace(plain.workload, seed=7))
    trials = (plain, of_other_file, seeded)
    kept.add_plan("run-1", trials, 1)
    for index, trial in enumerate(trials, start=1):
        repeats = [support.repeat(n, token_s=index / 100 + n / 1e5) for n in (1, 2, 3)]
        kept.add_round("run-1", support.round_result(trial, 0, tuple(repeats)))
    out = tmp_path / "bench.jsonl"
    assert "6 tests of 3 trials" in exported(kept, out, "--format", "llama-bench")
    other = Store.open(tmp_path / "other.duckdb")
    done = import_file(out, other)
    assert (done.results, done.whole) == (6, True)
    names = ["model_sha256", "seed", "decode_tok_s", "settings"]
    order = "ORDER BY decode_tok_s DESC"
    came = store.read(other.path, f"FROM results WHERE output_tokens > 0 {order}")[names]
    own = store.read(kept.path, f"FROM results {order}")[names]
    assert came["decode_tok_s"].tolist() == pytest.approx(own["decode_tok_s"].tolist())
    for name in ("model_sha256", "seed"):
        assert came[name].tolist() == own[name].tolist()
    assert "trial_id" not in came["settings"][0]
    assert import_file(out, other) == done, "once more changes nothing"


def test_of_a_run_only_its_trials_are_written(full: Store, tmp_path: Path) -> None:
    assert "3 rows" in exported(full, tmp_path / "r.csv", "--run", "run-1")
    assert "0 rows" in exported(full, tmp_path / "r.csv", "--run", "run-2")
    with pytest.raises(UsageError, match=r"has no run run-3"):
        exported(full, tmp_path / "r.csv", "--run", "run-3")


def test_what_is_missing_is_null_and_never_0(full: Store, tmp_path: Path) -> None:
    exported(full, tmp_path / "r.jsonl", "--run", "run-1")
    found = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    (failed,) = (each for each in found if each["status"] == "failed")
    assert failed["decode_tok_s"] is None
    assert failed["settings"] == {"threads": 2}
    assert not any(isinstance(v, float) and math.isnan(v) for each in found for v in each.values())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["out.xlsx"], "names no format"),
        (["-"], "names no format"),
        (["-", "--format", "parquet"], "Parquet is no text"),
        (["r.csv", "--format", "excel"], "there is no format 'excel'; choose from csv"),
    ],
)
def test_a_format_that_is_none_is_wrong_usage(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = _COMMANDS["export"](arguments)
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    assert status == WRONG_USAGE
    assert told in capsys.readouterr().err


def test_the_store_itself_is_never_written_over(full: Store) -> None:
    before = full.path.read_bytes()
    with pytest.raises(UsageError, match="is the store itself"):
        exported(full, full.path, "--format", "csv")
    assert full.path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(
    full: Store, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        exported(full, tmp_path / "none" / "r.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        exported(full, tmp_path / "folder.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["folder.csv"]


def test_the_output_holds_results_alone(
    full: Store, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert "7 rows" in exported(full, Path("-"), "--format", "jsonl")
    assert len([json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]) == 7


def test_an_output_that_nobody_reads_any_more_ends_it_quietly(full: Store) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "odllm_controller", "export", "-", "--format=csv"]
    command.append(f"--store={full.path}")
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="no other shell tells of all of a pipe")
@pytest.mark.parametrize("words", ["run --help", "claims", "advise --json"])
def test_a_reader_that_has_had_enough_costs_no_status(full: Store, words: str) -> None:
    store = [] if "--help" in words else ["--store", str(full.path)]
    command = line.joined([sys.executable, "-m", "odllm_controller", *words.split(), *store])
    piped, plain = f"{command} | head -1; echo $PIPESTATUS", f"{command} | cat; echo $PIPESTATUS"
    script = f"({piped}) | tail -1; ({plain}) | tail -1"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("0\n0\n", "")


def test_the_command_ends_with_a_status_that_a_script_can_read(
    full: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, missing = str(tmp_path / "r.csv"), str(tmp_path / "none.duckdb")
    run = _COMMANDS["export"]
    assert run([out, "--store", str(full.path)]) == DONE
    assert run([out, "--store", str(full.path), "--run", "none"]) == WRONG_USAGE
    assert run([out, "--store", missing]) == FAULT
    assert "there is no store" in capsys.readouterr().err
    assert not Path(missing).exists()


def test_every_format_has_an_ending_or_a_name() -> None:
    assert exporting._format_of(Path("a.parquet")) is ExportFormat.PARQUET
    assert exporting._format_of(Path("a.CSV")) is ExportFormat.CSV
    assert exporting._format_of(Path("a.jsonl")) is ExportFormat.JSON_LINES
    _, asked, _ = app.parse_args(["a.jsonl", "--format", "llama-bench"])
    assert asked.kwargs["options"].format is ExportFormat.LLAMA_BENCH
