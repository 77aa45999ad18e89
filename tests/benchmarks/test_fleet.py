"""The figures of a fleet's benchmark, from marks whose times are known; and all of it, tiny."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests import family, stores, support

ROOT = Path(__file__).parents[2]

_KNOWN = """
from benchmarks.fleet import Mark, gaps_s, stretch
import sys
from pathlib import Path
# Up to the first results everything is planned; then 2 ms of wall and 1 ms of CPU per result up to
# 2,000, and twice that afterwards.
marks = [Mark(0, 0.0, 5.0, 10), Mark(1, 300.0, 60.0, 10), Mark(500, 390.0, 90.0, 10)]
marks += [Mark(n, 400 + 0.002 * n, 100 + 0.001 * n, 20) for n in (1000, 1500, 2000)]
marks += [Mark(n, 396 + 0.004 * n, 98 + 0.002 * n, 30) for n in (2500, 3000)]
few, many = stretch(marks, 1000), stretch(marks, 3000)
print(f"{few.wall_ms:.3f} {few.cpu_ms:.3f} {few.rss_bytes}")
print(f"{many.wall_ms:.3f} {many.cpu_ms:.3f} {many.rss_bytes}")
print(" ".join(f"{gap_s:.1f}" for gap_s in gaps_s(Path(sys.argv[1]))))
"""


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own, since Ray takes its environment as it is imported."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=family.PATIENCE_S,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_figures_are_those_of_the_two_marks_after_so_many(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    first = support.round_result()
    starts = (0.0, 0.5, 2.5)
    store.add_results(
        "run-1",
        [
            replace(first, round=n, started_at=support.STARTED + timedelta(seconds=at_s))
            for n, at_s in enumerate(starts)
        ],
    )
    told = python("-c", _KNOWN, str(store.path))
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == ["2.000 1.000 20", "4.000 2.000 30", "0.5 2.0"]


def test_a_tiny_fleet_runs_from_its_start_to_the_last_figure() -> None:
    size = ["--nodes", "1", "--devices", "3", "--actors", "2", "--results", "12"]
    done = python("-m", "benchmarks.fleet", *size)
    assert done.returncode in {0, 1}, done.stderr
    assert "12 results in" in done.stdout
    assert "dispatch gap between two trials of one device: median" in done.stdout
    assert ("not met" in done.stdout) == (done.returncode == 1)


def test_an_idle_agent_is_watched_with_all_that_belongs_to_it() -> None:
    done = python("-m", "benchmarks.idle_agent", "--idle-s", "1")
    assert done.returncode in {0, 1}, done.stderr
    assert {"odllm_agent", "raylet", "ray::AgentActor"} <= {
        line.partition(": ")[0] for line in done.stdout.splitlines()
    }
    assert "an idle agent with Ray:" in done.stdout


@pytest.mark.parametrize("module", ["fleet", "idle_agent"])
def test_wrong_usage_is_told(module: str) -> None:
    assert python("-m", f"benchmarks.{module}", "--no-such-option").returncode == 2
