"""Rounds on their way into the store, as many at once as have come in."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import TypeAlias

import duckdb

from odllm_agent.contract import RoundResult
from odllm_controller.store import rows
from odllm_controller.store.insert import insert, upsert, upsert_trials

# Joins, not list_contains: that would compare every row of the store with everything asked for.
_STORED_TRIALS = """
SELECT trial_id FROM trials SEMI JOIN (SELECT unnest(?) AS trial_id) AS asked USING (trial_id)
"""
_STORED_ROUNDS = """
SELECT trial_id, round, started_at, complete
FROM rounds
SEMI JOIN (SELECT unnest(?) AS trial_id) AS asked USING (trial_id)
"""
_NEW_IDS = "SELECT nextval('round_ids') FROM range(?)"
# Nothing is as many as tokens: lists of them pass as parameters far quicker than rows.
_INSERT_TIMES = """
INSERT INTO token_times BY NAME
SELECT round_id, repeat, unnest(range(len(token_s))) AS position, unnest(token_s) AS token_s
FROM (
    SELECT
        unnest($round_id) AS round_id,
        unnest($repeat) AS repeat,
        unnest($token_s::DOUBLE[][]) AS token_s
)
"""

Stored: TypeAlias = tuple[str, int, datetime, bool]
"""Trial, round, start and whether it is whole."""


def add(
    connection: duckdb.DuckDBPyConnection, run_id: str, results: Sequence[RoundResult]
) -> set[str]:
    """Adds rounds, whole or failed.

    A round is left out if it, or a whole one of its trial and number, is there already.

    Returns:
        The trials that have whole rounds more than before.
    """
    if not results:
        return set()
    trial_ids = list({each.trial.id for each in results})
    stored = connection.execute(_STORED_ROUNDS, [trial_ids]).fetchall()
    new = list(_new(results, stored))
    if new:
        _add_trials(connection, new)
        numbers = [number for (number,) in connection.execute(_NEW_IDS, [len(new)]).fetchall()]
        _insert_all(connection, run_id, new, numbers)
    return {each.trial.id for each in new if not each.failure}


def _new(results: Sequence[RoundResult], stored: Sequence[Stored]) -> Iterator[RoundResult]:
    whole = {(trial_id, number) for trial_id, number, _, complete in stored if complete}
    tried = {(trial_id, number, started_at) for trial_id, number, started_at, _ in stored}
    for result in results:
        place = result.trial.id, result.round
        attempt = *place, rows.timestamp(result.started_at)
        if place not in whole and attempt not in tried:
            tried.add(attempt)
            if not result.failure:
                whole.add(place)
            yield result


def _add_trials(connection: duckdb.DuckDBPyConnection, new: Sequence[RoundResult]) -> None:
    trials = {result.trial.id: result.trial for result in new}
    for (known,) in connection.execute(_STORED_TRIALS, [list(trials)]).fetchall():
        del trials[known]
    upsert_trials(connection, trials.values())


def _insert_all(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    new: Sequence[RoundResult],
    round_ids: Sequence[int],
) -> None:
    numbered = list(zip(new, round_ids, strict=True))
    insert(connection, "rounds", [rows.of_round(each, run_id, number) for each, number in numbered])
    # What a trial had to do is told once of it.
    worked = {each.trial.id: each for each in new if each.loaded and each.loaded.work}
    upsert(connection, "work", chain.from_iterable(map(rows.of_work, worked.values())))
    repeats = [(each, number) for result, number in numbered for each in result.repeats]
    insert(connection, "repeats", [rows.of_repeat(*each) for each in repeats])
    times = [rows.of_token_times(*each) for each in repeats]
    names = ("round_id", "repeat", "token_s")
    connection.execute(_INSERT_TIMES, {name: [row[name] for row in times] for name in names})
    for table, of_repeat in (
        ("further_passes", rows.of_further_passes),
        ("device_states", rows.of_device_states),
    ):
        insert(connection, table, chain.from_iterable(of_repeat(*each) for each in repeats))
    for table, of_result in (("energy", rows.of_energy), ("power_traces", rows.of_power)):
        insert(connection, table, chain.from_iterable(of_result(*each) for each in numbered))
    failures = [
        rows.of_failure(each.failure, run_id) | rows.of_unmeasured(each.trial, number)
        for each, number in numbered
        if each.failure
    ]
    insert(connection, "failures", failures)
