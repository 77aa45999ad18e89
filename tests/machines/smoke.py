"""The way of an experiment to a machine that no fleet reaches, and of its results back."""

import subprocess
import sys
from pathlib import Path

from odllm_agent.offline.logbook import entries
from tests.machines.machine import CHECKOUT, Machine
from tests.machines.outcome import Outcome

# What emulation takes says nothing, so one repeat does, and no speed is held against what a device
# does at most. A part of the text and of the questions shows as well as all of it whether a
# processor computes what others do.
_EXPERIMENT = (
    "+experiment=smoke",
    "repeats.at_least=1",
    "repeats.at_most=1",
    "ceilings=never",
    "deadline_s=36000",
    "quality.max_windows=4",
    "quality.tasks=[reference-fact]",
    "quality.limit=20",
)


class Stuck(Exception):
    """A command ended with a status that it should not have."""


def smoke(machine: Machine, store: Path) -> Outcome:
    """What comes of the smoke experiment on a machine.

    Args:
        machine: The machine.
        store: Where the results are imported.

    Raises:
        Stuck: A command failed otherwise than by a trial or a check that failed.
    """
    laptop, trials, results = (
        machine.folder / name for name in ("laptop.json", "trials.json", "results.jsonl")
    )
    _fine(machine.agent("describe", "--out", str(laptop)))
    _controller(
        "plan", *_EXPERIMENT, f"store.path={store}", f"--device-file={laptop}", f"--out={trials}"
    )
    ran = machine.agent("run", str(trials), "--out", str(results))
    (machine.folder / "run.log").write_text(ran.stdout + ran.stderr)
    if not results.exists():
        _fine(ran)
    _controller("import", str(results), "--store", str(store))
    return Outcome.of(entry for _, entry in entries(results))


def _controller(*words: str) -> None:
    command = [sys.executable, "-m", "odllm_controller", *words]
    _fine(subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False))


def _fine(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-5:]
        words = " ".join(map(str, done.args))
        raise Stuck(f"`{words}` ended with status {done.returncode}: " + " / ".join(last))
