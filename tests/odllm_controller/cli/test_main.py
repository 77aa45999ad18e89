"""The whole command: real Hydra, real Ray, real llama.cpp, real DuckDB, real kills."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from odllm_controller.cli.main import main
from odllm_controller.overrides import line
from odllm_controller.store.database import WRITE_PATIENCE_S
from tests import family
from tests.models import write_gguf
from tests.odllm_controller.bench import Bench, Ended, eventually
from tests.odllm_controller.configs import SMALL
from tests.odllm_controller.crashing import crashing_at
from tests.odllm_controller.store.test_held import held
from tests.workers import answers, workers

pytestmark = pytest.mark.ray

DATA_ROWS = """
SELECT (SELECT count(*) FROM trials) AS trials, (SELECT count(*) FROM rounds) AS rounds,
       (SELECT count(*) FROM repeats) AS repeats, (SELECT count(*) FROM token_times) AS tokens
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_run_measures_everything_once_and_a_second_one_only_what_is_missing(
    bench: Bench,
) -> None:
    quality = ("quality=reference", "quality.window_tokens=64", "quality.limit=3")
    first = bench.run(*quality)
    assert first.status == 0, first.err
    results = bench.query("SELECT * FROM results ORDER BY file_bpw")
    assert results["quantization"].tolist() == ["Q4_0", "Q8_0"]
    assert results["status"].tolist() == ["done", "done"]
    assert results["rounds"].tolist() == [2, 2]
    assert (results["decode_tok_s"] > 0).all()
    assert (results["ttft_s"] > 0).all()
    assert (results["perplexity"] > 1).all()
    assert results["kld"].is_monotonic_decreasing
    assert (results["kld"] > 0).all()
    assert results["accuracy"].between(0, 1).all()
    assert results["prefill_j"].isna().all() == (results["energy_method"] == "unavailable").all()
    for word in (
        "Q4_0",
        "Q8_0",
        "BPW",
        "TTFT ms",
        "perplexity",
        "KLD",
        "accuracy",
        "drift on",
        "odllm explore --store",
    ):
        assert word in first.out

    before = bench.query(DATA_ROWS)
    again = bench.run(*quality)
    assert again.status == 0, again.err
    assert bench.query(DATA_ROWS).equals(before)
    assert "Q4_0" in again.out

    more = bench.run("rounds=3", "rounds_at_most=4")
    assert more.status == 0, more.err
    assert bench.query("SELECT * FROM rounds WHERE complete").groupby("round").size().to_dict() == {
        0: 2,
        1: 2,
        2: 2,
        3: 2,
    }
    assert bench.query("SELECT stopped FROM results")["stopped"].tolist() == ["cap", "cap"]
    runs = bench.query("SELECT * FROM runs ORDER BY started_at")
    assert runs["status"].tolist() == ["done"] * 3
    assert "window_tokens" in runs["config_yaml"].iloc[0]


def test_verbose_tells_ceilings_and_bounds_and_a_second_run_measures_no_ceiling_again(
    bench: Bench,
) -> None:
    first = bench.run("rounds=1", "ceilings=missing", "--verbose")
    assert first.status == 0, first.err
    ceilings = bench.query("SELECT * FROM ceilings ORDER BY name")
    assert set(ceilings["name"]) >= {"read", "Q4_0", "Q8_0", "F16"}
    assert (ceilings["per_s"] > 0).all()
    results = bench.query("SELECT * FROM results")
    assert (results["mbu"] > 0).all()
    assert (results["prefill_compute_fraction"] > 0).all()
    assert results["bound"].notna().all()
    for word in ("at most", "GB/s", "multiply with Q4_0", "bound by fit", "no fit"):
        assert word in first.out

    again = bench.run("rounds=1", "ceilings=missing")
    assert again.status == 0, again.err
    assert bench.query("SELECT * FROM ceilings ORDER BY name").equals(ceilings)
    assert "GB/s" not in again.out


def test_what_cannot_be_measured_is_named_and_the_others_go_on(bench: Bench) -> None:
    whole = bench.model.read_bytes()
    cut = bench.folder / "cut.gguf"
    cut.write_bytes(whole[: len(whole) // 2])
    tampered = bench.folder / "tampered.gguf"
    tampered.write_bytes(whole)
    overrides = [
        f"+models.{name}={{source:file,path:{path},quantizations:as_is{more}}}"
        for name, path, more in [
            ("missing", bench.folder / "none.gguf", ""),
            ("cut", cut, ""),
            ("tampered", tampered, ",sha256:" + "0" * 64),
        ]
    ]
    ended = bench.run("rounds=1", *overrides)
    assert ended.status == 3, ended.err
    assert "Traceback" not in ended.out + ended.err
    for name, word in [
        ("missing", "none.gguf"),
        ("cut", "cut.gguf"),
        ("tampered", "0" * 64),
    ]:
        told = ended.out.split(f"failed: {name}", 1)
        assert len(told) == 2, f"{name} is not named in:\n{ended.out}"
        assert word in told[1].split("failed:")[0].replace("\n", "")
    results = bench.query("SELECT model, status, failure FROM results")
    assert results.loc[results["model"] == "tiny", "status"].tolist() == ["done", "done"]
    failed = results[results["status"] == "failed"]
    assert set(failed["model"]) == {"missing", "cut", "tampered"}
    assert failed["failure"].notna().all()


def test_what_cannot_run_is_skipped_with_its_reason_and_is_no_failure(bench: Bench) -> None:
    huge = bench.folder / "huge.gguf"
    huge.write_bytes(bench.model.read_bytes())
    os.truncate(huge, 2 * psutil.virtual_memory().total)
    ended = bench.run(
        "rounds=1",
        "quality=reference",
        "quality.window_tokens=64",
        f"+models.vast={{source:file,path:{huge},quantizations:as_is}}",
    )
    assert ended.status == 0, ended.out
    (told,) = (line for line in ended.out.splitlines() if line.startswith("skipped: "))
    assert "vast F16 with llama_cpp" in told
    assert "GB are free" in told
    results = bench.query("SELECT model, status, skip_reason FROM results ORDER BY ALL")
    assert results["status"].tolist() == ["done", "done", "skipped"]
    assert results["skip_reason"].iloc[2] in told
    assert bench.query("SELECT status FROM runs")["status"].tolist() == ["done"]
    assert len(bench.query("SELECT DISTINCT model_sha256 FROM quality")) == 2


def test_an_experiment_of_which_nothing_can_run_says_so_and_is_not_done(bench: Bench) -> None:
    ended = bench.run("engines.llama_cpp.threads=4096")
    assert ended.status == 1, ended.out
    assert "nothing that is asked for can run here" in ended.out
    assert "threads=4096" in ended.out


def test_a_worker_killed_in_a_decode_costs_its_trial_alone(bench: Bench) -> None:
    many = (
        "rounds=1",
        "repeats.at_least=60",
        "repeats.at_most=60",
        "workloads.short.output_tokens=400",
    )
    with bench.started(*many) as process:
        eventually(lambda: decoding(process))[0].send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=family.PATIENCE_S)
    assert process.returncode == 3, err
    assert "SIGKILL" in out
    assert "Traceback" not in out + err
    assert sorted(bench.query("SELECT status FROM results")["status"]) == ["done", "failed"]
    failures = bench.query("SELECT * FROM failures")
    assert failures["signal"].tolist() == ["SIGKILL"]

    retried = bench.run(*many)
    assert retried.status == 0, retried.err
    assert bench.query("SELECT status FROM results")["status"].tolist() == ["done", "done"]


def test_an_engine_that_dies_at_one_type_is_told_once_and_given_up_at_that_type(
    bench: Bench,
) -> None:
    asked = (
        "rounds=2",
        "workloads.short.prompt_tokens=[4,8,16,32]",
        "quality=reference",
        "quality.window_tokens=64",
        "quality.max_windows=1",
        "quality.tasks=[]",
    )
    ended = bench.run(*asked, **crashing_at(["Q4_0"], bench.folder / "crashing"))
    assert ended.status == 3, ended.err
    assert "Traceback" not in ended.out + ended.err
    told = ended.out[ended.out.index("failed: 3 rounds alike") :].splitlines()
    assert "llama_cpp was ended by SIGSEGV at Q4_0 (first: tiny Q4_0, round 1 on" in told[0]
    # The build was tried and computes the type, and the file came from outside.
    assert "so this file may be damaged or hostile" in " ".join(ended.out.split())
    assert ended.out.count("failed: ") == 1
    untried = [line for line in told if line.startswith("not tried: ")]
    assert untried[0].startswith("not tried: 2 rounds and 1 quality check of llama_cpp at Q4_0 on ")
    assert untried[0].endswith(", after 3 failed alike")
    assert len(untried) == 1
    assert len(told) <= 12

    results = bench.query("SELECT * FROM results ORDER BY quantization, status")
    assert results["status"].tolist() == ["failed"] * 3 + ["held"] + ["done"] * 4
    assert results["hold_reason"].iloc[3] == (
        "not tried, after 3 in a row failed alike: llama_cpp was ended by SIGSEGV"
    )
    assert (results["kld_reason"].iloc[:4] == results["hold_reason"].iloc[3]).all()
    assert len(bench.query("SELECT * FROM failures WHERE signal = 'SIGSEGV'")) == 3

    again = bench.run(*asked, **crashing_at([], bench.folder / "crashing"))
    assert again.status == 0, again.out
    results = bench.query("SELECT status, hold_reason, kld FROM results")
    assert results["status"].tolist() == ["done"] * 8
    assert results["hold_reason"].isna().all()
    assert results["kld"].notna().all()


def decoding(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """The workers of a run that have answered a repeat and are at the next."""
    return [each for each in workers(psutil.Process(run.pid)) if '"Repeat"' in answers(each)]


@pytest.mark.parametrize(
    ("sent", "to_all"),
    [
        ((signal.SIGINT,), True),
        ((signal.SIGTERM,), True),
        ((signal.SIGTERM,), False),
        ((signal.SIGHUP, signal.SIGTERM, signal.SIGINT), True),
    ],
)
def test_a_signal_keeps_what_is_finished_and_leaves_nothing_running(
    bench: Bench, sent: tuple[signal.Signals, ...], to_all: bool
) -> None:
    scratch = bench.folder / "tmp"
    scratch.mkdir()
    with bench.started("rounds=40", "quality=none", TMPDIR=str(scratch)) as process:
        eventually(bench.has_store)
        eventually(lambda: len(bench.query("SELECT * FROM rounds")) >= 3)
        started = family.descendants(psutil.Process(process.pid))
        for number in sent:
            (os.killpg if to_all else os.kill)(process.pid, number)
            time.sleep(0.1)
        out, err = process.communicate(timeout=family.PATIENCE_S)
    assert process.returncode == 128 + sent[0], err
    assert out.splitlines()[-1].startswith("Interrupted. What was finished is stored")
    assert not err
    assert len(bench.query("SELECT * FROM rounds WHERE complete")) >= 3
    assert bench.query("SELECT status FROM runs")["status"].tolist() == ["interrupted"]
    eventually(lambda: not any(map(family.lives, started)))
    assert list(scratch.iterdir()) == []


def test_a_model_that_is_replaced_between_rounds_fails_those_after_it_by_name(bench: Bench) -> None:
    model = bench.model
    with bench.started("rounds=8", "models.file.quantizations=as_is") as process:
        eventually(bench.has_store)
        eventually(lambda: len(bench.query("SELECT * FROM rounds WHERE complete")) >= 2)
        write_gguf(model.with_suffix(".new"), seed=1).replace(model)
        out, _ = process.communicate(timeout=2 * family.PATIENCE_S)
    assert process.returncode == 3
    told = " ".join(out.split())
    assert f"{model} was replaced by another file" in told
    rounds = bench.query("SELECT complete, kind FROM rounds LEFT JOIN failures USING (round_id)")
    assert set(rounds[~rounds["complete"]]["kind"]) == {"ModelChanged"}
    assert bench.query("SELECT rounds FROM results")["rounds"].tolist() == [
        int(rounds["complete"].sum())
    ]
    assert rounds["complete"].sum() < 8


def test_a_run_measures_on_while_a_notebook_holds_its_store(bench: Bench) -> None:
    """For longer than any transaction waits."""
    with bench.started("rounds=6") as process:
        eventually(bench.has_store)
        eventually(lambda: len(bench.query("SELECT * FROM rounds")) >= 1)
        with held(bench.store):
            since = time.time()
            time.sleep(WRITE_PATIENCE_S + 2)
            until = time.time()
            assert process.poll() is None
        out, err = process.communicate(timeout=2 * family.PATIENCE_S)
    assert process.returncode == 0, out + err
    assert bench.query("SELECT rounds FROM results")["rounds"].tolist() == [6, 6]
    rounds = bench.query("SELECT epoch(started_at) AS began FROM rounds")
    assert rounds["began"].between(since, until).any()


def test_the_commands_that_are_printed_run_in_a_shell(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "m o [x]/a (1)")
    bench.folder.mkdir(parents=True)
    model = write_gguf(bench.folder / "it's, ü=[2] {3}.gguf")
    first = bench.run(f"models.file.path={model}", "rounds=1", f"store.path={bench.store}")
    assert first.status == 0, first.out + first.err
    ((_, explore),) = [
        line.split("Explore it with: ") for line in first.out.splitlines() if "Explore" in line
    ]
    assert line.words(explore) == ["odllm", "explore", "--store", str(bench.store)]

    store = shlex.quote(str(bench.store))
    advised = in_shell(bench, f"odllm advise --objective speed --json --store {store}")
    assert advised.status == 0, advised.err
    (answer,) = json.loads(advised.out)
    again = in_shell(bench, answer["next_command"])
    assert again.status == 0, again.out + again.err
    assert len(bench.query("SELECT * FROM runs")) == 2
    assert len(bench.query("SELECT * FROM trials")) == 2


def in_shell(bench: Bench, command: str) -> Ended:
    """Runs a line as it was printed, where `odllm` is what is tested."""
    script = f'odllm() {{ "$PYTHON" -m odllm_controller "$@"; }}; {command}'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=bench.folder,
        env=bench.environment | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * family.PATIENCE_S,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_in_the_cache_fails_what_must_be_made_and_nothing_else(
    bench: Bench, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(200_000)
    ended = bench.run("rounds=1", "models.file.quantizations=[F16,Q8_0]", ODLLM_CACHE_DIR=str(disk))
    assert ended.status == 3, ended.err
    assert str(disk) in ended.out
    results = bench.query("SELECT quantization, status FROM results ORDER BY status")
    assert results.to_numpy().tolist() == [["F16", "done"], ["Q8_0", "failed"]]


def test_a_full_disk_under_the_store_ends_the_run_with_one_message(
    bench: Bench, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(400_000)
    ended = bench.run(f"store.path={disk}/odllm.duckdb", "rounds=40")
    assert ended.status == 1, ended.out
    assert str(disk) in ended.err
    assert "Traceback" not in ended.err


def test_multirun_makes_each_job_a_run_in_the_same_store(bench: Bench) -> None:
    ended = bench.run("--multirun", "rounds=1", "seed=1,2", "repeats.at_most=1")
    assert ended.status == 0, ended.err
    runs = bench.query("SELECT seed, command FROM runs ORDER BY seed")
    assert runs["seed"].tolist() == [1, 2]
    assert len(bench.query("SELECT * FROM trials")) == 4
    for seed, command in runs.itertuples(index=False):
        words = line.words(command)
        assert words[:2] == ["odllm", "run"]
        assert f"seed={seed}" in words
        assert not [word for word in words if word.startswith("-")]
    assert not (bench.folder / "results" / "multirun").exists()


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["experiment=nonsense"], "nonsense"),
        (["model=[nonsense]"], "nonsense"),
        (["quantizations=[Q9_9]"], "Q9_9"),
        (["engines.llama_cpp.warp=9"], "warp"),
        (["engines.llama_cpp.threads=many"], "threads='many'"),
        (["rounds=three"], "rounds='three'"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_wrong_usage(
    overrides: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "models.file.path=some.gguf", *overrides]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["quality.text=nonsense", "quality=reference"], "nonsense"),
        (["quality.tasks=[humaneval]"], "allow_code_execution=[humaneval]"),
    ],
)
def test_what_only_a_device_knows_to_be_wrong_is_wrong_usage(
    bench: Bench, overrides: list[str], told: str
) -> None:
    ended = bench.run(*overrides)
    assert ended.status == 2, ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_a_store_that_is_none_ends_the_run_before_it_measures(bench: Bench) -> None:
    bench.store.parent.mkdir()
    bench.store.write_text("this is no database, it only looks like one " * 100)
    ended = bench.run()
    assert ended.status == 1
    assert str(bench.store) in ended.err
    assert "Traceback" not in ended.err


def test_help_shows_examples_and_groups(bench: Bench) -> None:
    ended = bench.run("--help")
    assert ended.status == 0
    assert "odllm run +experiment=sweep" in ended.out
    assert (
        "experiment: batch, depth, engines, paper, reference, shapes, simulated, smoke, sweep, "
        "threads" in ended.out
    )
