"""Writing a run into the store as it goes on."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Self, TypeVar

import duckdb
import pandas as pd

from odllm_agent.contract import (
    Baseline,
    CeilingKey,
    Ceilings,
    Device,
    Event,
    Failure,
    ModelRequest,
    QualityResult,
    Result,
    RoundResult,
    Skip,
    Trial,
    from_json,
    to_json,
)
from odllm_agent.errors import StoreError
from odllm_agent.failures import LeftOut
from odllm_agent.files.typed_path import typed_path
from odllm_controller.store import database, imported, rounds, rows, schema, summaries
from odllm_controller.store.insert import insert, upsert, upsert_trials
from odllm_controller.store.rows import Row
from odllm_controller.store.run import Run

_HAS_CHECK = "SELECT count(*) FROM quality WHERE check_id = ? AND (complete OR run_id = ?)"
_HAS_UNPREPARED = """
SELECT count(*) FROM failures
WHERE stage = 'prepare' AND run_id = $run_id AND device_id = $device_id AND model = $model
AND quantization IS NOT DISTINCT FROM $quantization
"""
_FINISHED_ROUNDS = """
SELECT DISTINCT trial_id, round FROM rounds WHERE complete AND list_contains(?, trial_id)
"""
_FINISHED_CHECKS = """
SELECT DISTINCT check_id FROM quality WHERE complete AND list_contains(?, check_id)
"""
# What a run planned for a device and did not finish, and what an earlier run of the same experiment
# planned for one that this run has not seen. What is left out for another reason keeps that.
_HOLD = """
INSERT OR IGNORE INTO held (run_id, trial_id, reason)
SELECT $run_id, trial_id, $reason
FROM (
    SELECT results.trial_id, results.status, arg_max(experiment, runs.started_at) AS experiment
    FROM results
    JOIN planned USING (trial_id)
    JOIN runs ON runs.run_id = planned.run_id
    WHERE results.device_id = $device_id
    GROUP BY results.trial_id, results.status
)
WHERE status IN ('planned', 'partial', 'held')
AND experiment = (SELECT experiment FROM runs WHERE run_id = $run_id)
"""
# DuckDB begins a file with three headers of a block each.
_HEADERS_BYTES = 3 * 4096
# Those with trials left, and those that were lost before it was known which they have.
_UNFINISHED_DEVICES = """
WITH planned_trials AS (
    SELECT results.device_id, results.status
    FROM results
    JOIN planned USING (trial_id)
    JOIN runs ON runs.run_id = planned.run_id
    WHERE runs.experiment = $experiment
)
SELECT arg_max(description, runs.started_at) AS description
FROM run_devices
JOIN runs USING (run_id)
WHERE device_id IN (
    SELECT device_id FROM planned_trials WHERE status IN ('planned', 'partial', 'held')
) OR (
    runs.experiment = $experiment
    AND runs.status IN ('abandoned', 'failed', 'interrupted')
    AND device_id NOT IN (SELECT device_id FROM planned_trials)
)
GROUP BY device_id
"""
_RELEASE = """
DELETE FROM held
WHERE run_id = $run_id AND reason = $reason
AND trial_id IN (SELECT trial_id FROM trials WHERE device_id = $device_id)
"""
_LEAVE_OUT = """
INSERT OR REPLACE INTO held (run_id, trial_id, reason)
SELECT run_id, trial_id, $reason FROM planned
WHERE run_id = $run_id AND list_contains($trial_ids, trial_id)
"""
_FORGET_SKIPS = "DELETE FROM skips WHERE run_id = ? AND list_contains(?, device_id)"
_KNOWN_CEILINGS = """
SELECT DISTINCT device_id, engine, engine_version, threads, name, engine_build FROM ceilings
WHERE per_s IS NOT NULL
"""
_DECODE_TOK_S = """
SELECT trial_id, list(speeds ORDER BY round) AS rounds
FROM (
    SELECT trial_id, round, list(decode_tok_s ORDER BY repeat) AS speeds
    FROM rates_of(?)
    WHERE decode_tok_s IS NOT NULL
    GROUP BY trial_id, round
)
GROUP BY trial_id
"""
_MEASURED_AFTER = """
SELECT DISTINCT trial_id
FROM rounds
JOIN trials USING (trial_id)
JOIN repeats USING (round_id)
WHERE run_id = ? AND device_id = ? AND complete AND repeats.started_at >= ?
"""
_MEASURED_BY = """
SELECT trial_id
FROM trials
SEMI JOIN summaries USING (trial_id)
WHERE device_id = ? AND engine = ? AND engine_version = ? AND engine_build = ?
"""
T = TypeVar("T")
Speeds = tuple[tuple[float, ...], ...]
"""The speeds of every repeat, by round."""


@dataclass(frozen=True, slots=True)
class Store:
    """A results file, written by one controller in short transactions.

    Every method opens the file, does its work in one transaction and closes the file, so that
    readers get in between. Each raises `StoreError` if the file has vanished or cannot be written,
    and `StoreHeld` if another process keeps it open.

    Attributes:
        path: The file.
        patience_s: How long a transaction or a query waits for another process; some seconds unless
            told.
    """

    path: Path
    patience_s: float | None = None

    @classmethod
    def open(cls, path: Path, patience_s: float | None = None) -> Self:
        """Opens a store for writing; makes the file and its folders, or updates an older file.

        Args:
            path: The file.
            patience_s: How long each transaction waits for another process.

        Raises:
            StoreError: The path is a directory, cannot be written, is not a DuckDB file, is of
                a newer schema version, or is kept open by another process.
        """
        path = typed_path(path).absolute()
        _make_folder(path)
        is_new = not path.exists()
        if not is_new:
            database.check_file(path)
        try:
            with database.writing(path, patience_s) as connection:
                schema.migrate(connection, path)
        except StoreError:
            # What a full disk left of a new file, DuckDB could not open again.
            if is_new and path.exists() and path.stat().st_size < _HEADERS_BYTES:
                path.unlink()
            raise
        return cls(path, patience_s)

    def add_run(self, run: Run) -> None:
        """Stores that a run has begun, unless it is there already."""
        with self._writing() as connection:
            if not _count(connection, "SELECT count(*) FROM runs WHERE run_id = ?", [run.id]):
                insert(connection, "runs", [rows.of_run(run)])

    def end_run(self, run_id: str, ended_at: datetime, status: str) -> None:
        """Stores how a run ended: `done`, `failed` or `interrupted`."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE runs SET ended_at = ?, status = ? WHERE run_id = ?",
                [rows.timestamp(ended_at), status, run_id],
            )

    def identity(self) -> str:
        """What tells this store from others; devices keep its results under it."""
        return str(self._read("SELECT store_id FROM identity")["store_id"].iloc[0])

    def abandon_runs(self) -> None:
        """Marks runs whose controller was killed; only for whoever controls the store alone."""
        with self._writing() as connection:
            connection.execute("UPDATE runs SET status = 'abandoned' WHERE status = 'running'")

    def hold(self, run_id: str, device_id: str, reason: str) -> None:
        """Stores that what is not done of a device's trials is not waited for, and why."""
        with self._writing() as connection:
            connection.execute(_HOLD, {"run_id": run_id, "device_id": device_id, "reason": reason})

    def release(self, run_id: str, device_id: str, reason: str) -> None:
        """Stores that a device's trials are held for a reason no more."""
        with self._writing() as connection:
            connection.execute(
                _RELEASE, {"run_id": run_id, "device_id": device_id, "reason": reason}
            )

    def leave_out(self, run_id: str, left_out: LeftOut) -> None:
        """Stores what a run does not try any more, and why."""
        reason = left_out.reason
        trials = {"run_id": run_id, "trial_ids": list(left_out.trial_ids), "reason": reason}
        with self._writing() as connection:
            connection.execute(_LEAVE_OUT, trials)
            for check in left_out.checks:
                _add_scores(connection, run_id, check.failed(Failure("NotTried", reason)))

    def add_device(self, run_id: str, device: Device) -> None:
        """Stores that a device takes part in a run, and what it is now."""
        part: Row = {"run_id": run_id, "device_id": device.id, "description": to_json(device)}
        with self._writing() as connection:
            upsert(connection, "devices", [rows.of_device(device)])
            upsert(connection, "run_devices", [part])
            upsert(connection, "builds", rows.of_builds(device))
            upsert(connection, "build_tests", rows.of_build_tests(device))

    def add_plan(
        self,
        run_id: str,
        trials: Sequence[Trial],
        rounds: int,
        rounds_at_most: int | None = None,
        interval_target: float | None = None,
    ) -> None:
        """Stores what a run is to measure, how often, and the models in it.

        Args:
            run_id: The run.
            trials: What it is to measure.
            rounds: How many rounds every trial takes.
            rounds_at_most: How many a trial takes while its interval is wider than the target, if
                more.
            interval_target: The width of the decode speed's interval that is asked for, as a
                fraction of its median, or `None`.
        """
        plan: Row = {
            "run_id": run_id,
            "rounds": rounds,
            "rounds_at_most": rounds_at_most or rounds,
            "interval_target": interval_target,
        }
        planned: list[Row] = [
            {"trial_id": trial.id, "position": position, **plan}
            for position, trial in enumerate(trials)
        ]
        with self._writing() as connection:
            upsert_trials(connection, trials)
            upsert(connection, "planned", planned)

    def add_skips(self, run_id: str, skips: Sequence[Skip]) -> None:
        """Stores what a run leaves out because it cannot run, once per run and device."""
        device_ids = [skip.device_id for skip in skips]
        with self._writing() as connection:
            connection.execute(_FORGET_SKIPS, [run_id, device_ids])
            insert(connection, "skips", [rows.of_skip(skip, run_id) for skip in skips])

    def add(
        self,
        results: Sequence[tuple[str, Result]],
        events: Sequence[tuple[str, Event]] = (),
        *,
        summarise: bool = True,
    ) -> None:
        """Stores what has come in, all of it or nothing.

        What is there already is left out: a round that is stored, or a whole one of its trial and
        number; a quality check that is stored whole, or was tried in its run before. Much at once
        costs far less than one by one: most of the time goes into opening the file, closing it, and
        working out the summaries of the trials.

        Args:
            results: Each with the run that asked for it.
            events: Each with the run that writes it down.
            summarise: Whether the view `results` is brought up to them at once, and not by the next
                `catch_up`.
        """
        with self._writing() as connection:
            touched: set[str] = set()
            for run_id, taken in groupby(results, itemgetter(0)):
                touched |= _add_results(connection, run_id, [result for _, result in taken])
            summaries.mark(connection, touched)
            if summarise:
                summaries.catch_up(connection)
            insert(connection, "events", [rows.of_event(event, run) for run, event in events])

    def add_results(self, run_id: str, results: Sequence[Result]) -> None:
        """Stores results of one run; see `add`."""
        self.add([(run_id, result) for result in results])

    def add_round(self, run_id: str, result: RoundResult) -> None:
        """Stores one round; see `add_results`."""
        self.add_results(run_id, (result,))

    def add_quality(self, run_id: str, result: QualityResult) -> None:
        """Stores one quality check; see `add_results`."""
        self.add_results(run_id, (result,))

    def add_ceilings(self, run_id: str, found: Ceilings) -> None:
        """Stores what a device does at most, or why that is not known."""
        self.add_results(run_id, (found,))

    def add_baseline(self, run_id: str, baseline: Baseline) -> None:
        """Stores what a device did while nothing was measured on it."""
        self.add_results(run_id, (baseline,))

    def catch_up(self) -> None:
        """Brings the view `results` up to what was stored with `summarise=False`."""
        with self._writing() as connection:
            summaries.catch_up(connection)

    def summarise(self) -> None:
        """Works out the summaries of all trials again, from their raw values."""
        with self._writing() as connection:
            summaries.refresh_all(connection)

    def add_failure(
        self, run_id: str, device_id: str, request: ModelRequest, failure: Failure
    ) -> None:
        """Stores that a model could not be prepared on a device, once per run."""
        subject = rows.of_unprepared(request, device_id)
        key = {name: subject[name] for name in ("device_id", "model", "quantization")}
        with self._writing() as connection:
            if not _count(connection, _HAS_UNPREPARED, {"run_id": run_id, **key}):
                insert(connection, "failures", [rows.of_failure(failure, run_id) | subject])

    def add_imported(
        self, found: Sequence[Row], samples: Sequence[Row], left: Sequence[imported.Place] = ()
    ) -> None:
        """Stores figures of elsewhere, each in the place of what was told of it before.

        Args:
            found: Rows of the table `imported`.
            samples: Rows of the table `imported_samples`, which their speeds are worked out from.
            left: Rows and rounds where some of them were until now.

        Raises:
            ValueRefused: One of them is no value of its column; then nothing is stored.
        """
        with self._writing() as connection:
            imported.add(connection, found, samples, left)

    def imported_rounds(self, rounds: Collection[str]) -> dict[str, str]:
        """Of those rounds that are stored with their samples, the rows that they are of."""
        found = self._read(imported.KNOWN, [list(rounds)])
        return dict(zip(found["round"], found["row_id"], strict=True))

    def imported_akin(self, row_ids: Collection[str], n_common: int) -> int:
        """How many of these rows have others beside them whose ids begin alike.

        Args:
            row_ids: Rows of the table `imported`.
            n_common: How much of an id is alike.
        """
        parameters = {"row_ids": list(row_ids), "n_common": n_common}
        return int(self._read(imported.AKIN, parameters)["n"].iloc[0])

    def imported_before(self, origins: Mapping[str, str]) -> int:
        """How many rows are there already, of another origin.

        Args:
            origins: Those of rows of the table `imported`, by the rows' ids.
        """
        parameters = {"row_ids": list(origins), "origins": list(origins.values())}
        return int(self._read(imported.REPLACED, parameters)["n"].iloc[0])

    def imported_types(self) -> dict[str, str]:
        """The columns of the table `imported`, and DuckDB's types of them."""
        found = self._read("DESCRIBE imported")
        return dict(zip(found["column_name"], found["column_type"], strict=True))

    def finished_rounds(self, trial_ids: Collection[str]) -> frozenset[tuple[str, int]]:
        """Which rounds of these trials are stored whole: pairs of trial id and round."""
        found = self._read(_FINISHED_ROUNDS, [list(trial_ids)])
        return frozenset(zip(found["trial_id"], map(int, found["round"]), strict=True))

    def earlier_decode_tok_s(self, trial_ids: Collection[str]) -> dict[str, Speeds]:
        """Decode speeds of whole rounds by trial id, in the order measured, without warm-ups."""
        found = self._read(_DECODE_TOK_S, [list(trial_ids)])
        pairs = zip(found["trial_id"], found["rounds"], strict=True)
        return {
            trial_id: tuple(tuple(map(float, speeds)) for speeds in rounds)
            for trial_id, rounds in pairs
        }

    def finished_checks(self, check_ids: Collection[str]) -> frozenset[str]:
        """Which of these quality checks need not be tried again."""
        if not check_ids:
            return frozenset()
        found = self._read(_FINISHED_CHECKS, [list(check_ids)])
        return frozenset(found["check_id"])

    def unfinished_devices(self, experiment: str) -> tuple[Device, ...]:
        """The devices that runs of an experiment did not finish with."""
        found = self._read(_UNFINISHED_DEVICES, {"experiment": experiment})
        return tuple(from_json(Device, text) for text in found["description"])

    def known_ceilings(self) -> frozenset[CeilingKey]:
        """Which ceilings have a figure."""
        found = self._read(_KNOWN_CEILINGS)
        return frozenset(CeilingKey(*row) for row in found.itertuples(index=False, name=None))

    def _read(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> pd.DataFrame:
        return database.read(self.path, sql, parameters, self.patience_s)

    def _writing(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        if not self.path.exists():
            raise StoreError(
                f"the store {self.path} has vanished while it was in use",
                "Put it back, or run the same command again to begin a new one.",
            )
        return database.writing(self.path, self.patience_s)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {path.parent} of the store cannot be made: {error.strerror}",
            "Name another place with store.path, or allow this user to write there.",
        ) from error


def _add_results(
    connection: duckdb.DuckDBPyConnection, run_id: str, results: Sequence[Result]
) -> set[str]:
    """Adds results of one run, and tells the trials whose summaries rest on them."""
    touched = rounds.add(connection, run_id, _all_of(RoundResult, results))
    for checked in _all_of(QualityResult, results):
        if _add_scores(connection, run_id, checked) and checked.failure:
            failure = rows.of_failure(checked.failure, run_id) | rows.of_unchecked(checked)
            insert(connection, "failures", [failure])
    for rested in _all_of(Baseline, results):
        touched |= _add_baseline(connection, run_id, rested)
    for found in _all_of(Ceilings, results):
        touched |= _add_ceilings(connection, run_id, found)
    return touched


def _all_of(kind: type[T], results: Sequence[Result]) -> list[T]:
    return [result for result in results if isinstance(result, kind)]


def _add_scores(connection: duckdb.DuckDBPyConnection, run_id: str, result: QualityResult) -> bool:
    """Adds the scores of a check, or why there are none, unless they are there."""
    check = result.check
    if _count(connection, _HAS_CHECK, [check.id, run_id]):
        return False
    upsert(connection, "models", [rows.of_model(check.model)])
    insert(connection, "quality", rows.of_quality(result, run_id))
    return True


def _add_baseline(connection: duckdb.DuckDBPyConnection, run_id: str, rested: Baseline) -> set[str]:
    """Adds a device at rest, and tells the trials that were measured after it already."""
    upsert(connection, "baselines", [rows.of_baseline(rested, run_id)])
    upsert(connection, "idle_energy", rows.of_idle_energy(rested, run_id))
    place = [run_id, rested.device_id, rows.timestamp(rested.started_at)]
    return {trial_id for (trial_id,) in connection.execute(_MEASURED_AFTER, place).fetchall()}


def _add_ceilings(connection: duckdb.DuckDBPyConnection, run_id: str, found: Ceilings) -> set[str]:
    """Adds what a device does at most, and tells the trials that were measured under it already."""
    upsert(connection, "ceilings", rows.of_ceilings(found, run_id))
    order = found.order
    place = [order.device_id, order.engine.name, order.engine.version, order.engine.build]
    return {trial_id for (trial_id,) in connection.execute(_MEASURED_BY, place).fetchall()}


def _count(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[object] | dict[str, object] = (),
) -> int:
    row = connection.execute(sql, parameters or None).fetchone()
    return int(row[0]) if row else 0
