"""Joules from end to end: real Hydra, Ray, llama.cpp, pyRAPL and DuckDB on a driven machine."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from odllm_agent.meters.rapl.meter import POWERCAP
from odllm_controller import store
from tests import driven
from tests.app.drawn import headings, page, table, texts
from tests.models import Shape, write_gguf
from tests.odllm_agent.meters import powercap
from tests.odllm_controller.configs import SMALL

pytestmark = pytest.mark.ray

WATTS = 20.0
# Some 80 million weights, read and not mapped: their load takes longer than the shortest window of
# the sensor even at the smaller type and on a quiet machine.
SHAPE = Shape(width=2048, layers=2, ffn=4096)
SWEEP = (
    *SMALL,
    "engines.llama_cpp.mmap=false",
    "workloads.short.prompt_tokens=32",
    "workloads.short.output_tokens=16",
    "power.idle_s=0.5",
)

PHASES = """
SELECT phase, sum(energy_j) / sum(window_s) AS mean_w FROM energy
WHERE domain = 'package' GROUP BY phase
"""


def swept(folder: Path, tree: Path | None = None) -> str:
    """What a sweep prints, here or where the tree is the system's."""
    model = write_gguf(folder / "model-F16.gguf", SHAPE)
    paths = (f"models.file.path={model}", f"store.path={folder / 'odllm.duckdb'}")
    command = [sys.executable, "-m", "odllm_controller", *SWEEP, *paths]
    done = subprocess.run(
        driven.within(tree, command) if tree else command,
        cwd=powercap.REPOSITORY,
        env={**os.environ, "COLUMNS": "400", "ODLLM_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def energy_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("sys.argv", ["script.py", "--store", str(folder / "odllm.duckdb")])
    return page("energy")


def query(folder: Path, sql: str) -> pd.DataFrame:
    return store.read(folder / "odllm.duckdb", sql)


@pytest.mark.skipif(not driven.may_mount(), reason="needs root and a private mount namespace")
def test_a_known_power_comes_out_in_every_phase_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A turn of 15 seconds, so that the counter wraps in the middle of the run.
    tree = powercap.build(tmp_path / "class", range_uj=300_000_000)
    with driven.drawing(tree, WATTS):
        out = swept(tmp_path, tree)
    results = query(tmp_path, "SELECT * FROM results")
    assert results["status"].tolist() == ["done", "done"]
    assert results["energy_method"].tolist() == ["measured", "measured"]
    assert results["energy_reason"].isna().all()
    for column in ("load_w", "prefill_w", "decode_w", "mean_w", "idle_w"):
        assert results[column].tolist() == pytest.approx([WATTS] * 2, rel=0.1), column
    every = query(tmp_path, PHASES)
    assert set(every["phase"]) == {"load", "prefill", "decode"}
    assert every["mean_w"].tolist() == pytest.approx([WATTS] * 3, rel=0.05)
    # All of what this machine draws it draws at rest too.
    net = results["decode_net_j"] / results["decode_j"]
    assert net.tolist() == pytest.approx([0.0] * 2, abs=0.15)
    assert (results["decode_j_uncertainty"] < 0.2 * results["decode_j"]).all()

    traces = query(tmp_path, "SELECT DISTINCT repeat IS NULL AS of_load, phase FROM power_traces")
    assert len(traces) == 3
    rests = query(tmp_path, "SELECT * FROM baselines ORDER BY round")
    assert rests["round"].tolist() == [0, 1]
    assert (rests["own_cores"] >= 0).all()
    assert (rests["own_bytes"] > 200_000_000).all(), "Ray has several processes"

    (line,) = (line for line in out.splitlines() if " Q8_0 " in line and "±" in line)
    assert line.count("±") == 3, "load, prefill and decode"
    assert "decode W" in out
    shown = energy_page(tmp_path, monkeypatch)
    powers = table(shown, "Prefill power (W)", "Decode power (W)")
    for label in ("Prefill power (W)", "Decode power (W)", "At rest (W)"):
        assert powers[label].tolist() == pytest.approx([WATTS] * 2, rel=0.1)
    assert any("**Mean power**" in each for each in headings(shown)), "it has a chart"
    assert "energy: measured" in texts(shown)


@pytest.mark.skipif(POWERCAP.exists(), reason="this machine has RAPL")
def test_without_sensors_everything_says_unavailable_and_nothing_says_0_w(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = swept(tmp_path)
    (reason,) = query(tmp_path, "SELECT DISTINCT energy_reason FROM results")["energy_reason"]
    assert f"energy: unavailable, {reason}" in out
    assert " W" not in out
    results = query(tmp_path, "SELECT * FROM results")
    figures = [name for name in map(str, results) if name.endswith(("_j", "_w", "_j_per_token"))]
    assert len(figures) > 10
    assert results[figures].isna().all(axis=None)
    stored = query(tmp_path, "SELECT DISTINCT method, energy_j FROM energy")
    assert stored["method"].tolist() == ["unavailable"]
    assert query(tmp_path, "SELECT * FROM power_traces").empty
    (rest,) = query(tmp_path, "SELECT * FROM baselines").to_dict("records")
    assert rest["own_bytes"] > 200_000_000
    idle = query(tmp_path, "SELECT DISTINCT reason, energy_j FROM idle_energy")
    assert idle["reason"].tolist() == [reason]
    assert idle["energy_j"].isna().all()
    shown = energy_page(tmp_path, monkeypatch)
    assert f"unavailable, {reason}" in texts(shown)
    assert not any("power" in each for each in headings(shown))
