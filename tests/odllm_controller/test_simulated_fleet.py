"""A fleet of simulated devices goes the way of any other, and is told from it at every step."""

import os
import subprocess
import sys
from pathlib import Path

from odllm_agent.simulation.laptop import REASON, Laptop
from odllm_controller.analysis.queries import results
from odllm_controller.store import read
from tests import family

ROOT = Path(__file__).parents[2]


def run(path: Path) -> str:
    """Three devices in two processes, in a process of its own as Ray wants it."""
    overrides = ["fleet.devices=3", "fleet.actors=2", "rounds=2", "quantizations=[Q8_0,Q4_0]"]
    overrides.append(f"store.path={path}")
    done = subprocess.run(
        [sys.executable, "-m", "odllm_controller", "+experiment=simulated", *overrides],
        check=False,
        capture_output=True,
        text=True,
        timeout=family.PATIENCE_S,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_trial_is_stored_once_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "simulated.duckdb"
    told = run(path)
    assert "simulated devices: times come from a formula, and nothing was measured" in told
    assert f"energy: unavailable, {REASON}" in told

    found = results.load(path)
    assert set(found["device"]) == {f"sim-00{n} (simulated)" for n in range(3)}
    assert set(found["device_id"]) == {Laptop.of(n).id for n in range(3)}
    assert set(found["device_kind"]) == set(found["engine"]) == {"simulated"}
    assert found["status"].tolist() == ["done"] * 3 * 2
    assert found["rounds"].tolist() == [2] * 3 * 2
    assert set(found["energy_method"]) == {"unavailable"}
    for missing in ("decode_j", "prefill_j", "mean_w", "perplexity"):
        assert found[missing].isna().all(), missing
    # A formula reaches its own ceilings, but for the scatter.
    assert found["mbu"].between(0, 1.1).all()

    run(path)
    assert len(read(path, "FROM rounds")) == 3 * 2 * 2, "the same command measures nothing again"
