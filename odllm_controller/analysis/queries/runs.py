"""What was run: every run with its counts, and how far it got on each device."""

from pathlib import Path

import pandas as pd

from odllm_agent.contract import Failure
from odllm_agent.failures import Alike, Attempt, Failed, alike
from odllm_controller import store
from odllm_controller.analysis.queries.results import Row, records

_RUNS = """
WITH plans AS (
    SELECT run_id, count(*)::INTEGER AS trials, count(DISTINCT device_id)::INTEGER AS devices
    FROM planned JOIN trials USING (trial_id)
    GROUP BY run_id
),
whole AS (
    SELECT
        run_id,
        count(*) FILTER (complete)::INTEGER AS whole_rounds,
        count(*) FILTER (NOT complete)::INTEGER AS failed_rounds
    FROM rounds
    GROUP BY run_id
),
problems AS (SELECT run_id, count(*)::INTEGER AS failures FROM failures GROUP BY run_id),
left_out AS (SELECT run_id, count(*)::INTEGER AS skips FROM skips GROUP BY run_id)
SELECT
    run_id AS run, experiment, status, origin, started_at, ended_at,
    epoch(ended_at - started_at) AS wall_s,
    coalesce(devices, 0) AS devices, coalesce(trials, 0) AS trials,
    coalesce(whole_rounds, 0) AS whole_rounds, coalesce(failed_rounds, 0) AS failed_rounds,
    coalesce(failures, 0) AS failures, coalesce(skips, 0) AS skips,
    seed, git_commit, command, config_yaml, versions
FROM runs
LEFT JOIN plans USING (run_id)
LEFT JOIN whole USING (run_id)
LEFT JOIN problems USING (run_id)
LEFT JOIN left_out USING (run_id)
ORDER BY started_at DESC
"""
# Rounds count that an earlier run measured: a run goes on from what is stored.
_PROGRESS = """
WITH whole AS (
    SELECT trial_id, count(DISTINCT round)::INTEGER AS rounds, max(started_at) AS last_at
    FROM rounds
    WHERE complete
    GROUP BY trial_id
)
SELECT
    devices.name AS device, device_id,
    count(*)::INTEGER AS trials,
    sum(planned.rounds)::INTEGER AS planned_rounds,
    sum(least(coalesce(whole.rounds, 0), planned.rounds))::INTEGER AS whole_rounds,
    max(last_at) AS last_at
FROM planned
JOIN trials USING (trial_id)
JOIN devices USING (device_id)
LEFT JOIN whole USING (trial_id)
WHERE planned.run_id = ?
GROUP BY devices.name, device_id
ORDER BY device, device_id
"""
_FAILURES = """
SELECT
    devices.name AS device, model, quantization, stage, failures.kind, message, remedy, signal,
    traceback, log, round, subject, coalesce(trials.engine, checks.engine) AS engine, location
FROM failures
LEFT JOIN devices USING (device_id)
LEFT JOIN rounds USING (round_id)
LEFT JOIN trials USING (trial_id)
LEFT JOIN (SELECT DISTINCT check_id, engine, subject FROM quality) AS checks USING (check_id)
WHERE failures.run_id = ?
ORDER BY failure_id
"""
_NOUNS = {"prepare": "model", "measure": "round", "quality": "quality check"}


def runs(path: Path) -> pd.DataFrame:
    """A row per run, the latest first.

    Args:
        path: The store.

    Returns:
        What `Run` tells, with `wall_s` where it has ended, and what it planned, measured and could
        not.

    Raises:
        StoreError: The store cannot be read.
    """
    return store.read(path, _RUNS)


def progress(path: Path, run: str) -> pd.DataFrame:
    """How far a run has got.

    Args:
        path: The store.
        run: Its id.

    Returns:
        A row per device: the trials and rounds that were planned on it at least, how many of those
        rounds are whole, and when the last of them began.

    Raises:
        StoreError: The store cannot be read.
    """
    return store.read(path, _PROGRESS, [run])


def failures(path: Path, run: str) -> pd.DataFrame:
    """What went wrong in a run, a row each, with traceback and log.

    Args:
        path: The store.
        run: Its id.

    Raises:
        StoreError: The store cannot be read.
    """
    return store.read(path, _FAILURES, [run])


def causes(failures: pd.DataFrame) -> list[Alike]:
    """What went wrong in a run, by causes, in the order in which these first came.

    Args:
        failures: Rows as `failures` gives them.
    """
    return alike(map(_failed, records(failures.astype(object).where(failures.notna(), None))))


def _failed(row: Row) -> Failed:
    names = ("kind", "message", "remedy", "traceback", "signal", "log")
    own = (row["location"] or "", row["model"], row["quantization"] or "")
    subject = Attempt(
        _NOUNS[row["stage"]], _told(row), row["engine"] or "", row["quantization"] or "", own
    )
    return Failed(subject, Failure(**{name: row[name] for name in names}), row["device"] or "")


def _told(row: Row) -> str:
    label = f"{row['model']} {row['quantization'] or 'as it is'}"
    if row["stage"] == "measure":
        return f"{label}, round {row['round'] + 1}"
    return f"{label}, quality on {row['subject']}" if row["stage"] == "quality" else label
