"""What the overhead of its trials took of a sweep that was stored."""

from dataclasses import dataclass
from pathlib import Path

from odllm_controller import store

_LAST_SWEEP = """
WITH
    run AS (
        SELECT run_id, started_at, epoch(ended_at - started_at) AS wall_s
        FROM runs
        WHERE status = 'done' AND experiment = 'sweep' AND run_id IN (SELECT run_id FROM rounds)
        ORDER BY started_at DESC
        LIMIT 1
    ),
    tokens AS (
        SELECT round_id, sum(token_s) AS decode_s FROM token_times GROUP BY round_id
    ),
    prompts AS (
        SELECT round_id, sum(ttft_s) AS ttft_s FROM repeats GROUP BY round_id
    )
SELECT
    any_value(run.started_at) AS started_at,
    any_value(run.wall_s) AS wall_s,
    count(*) AS n_rounds,
    count(DISTINCT trial_id) AS n_trials,
    sum(rounds.wall_s) AS workers_s,
    sum(rounds.wall_s - load_s - ttft_s - decode_s) AS overhead_s
FROM run
JOIN rounds USING (run_id)
JOIN tokens USING (round_id)
JOIN prompts USING (round_id)
WHERE complete
HAVING count(*) > 0
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The last whole sweep of a store.

    Attributes:
        started_at: When it began, in UTC.
        wall_s: From its start to its end.
        n_trials: Trials that it measured.
        n_rounds: Workers that it started for them.
        workers_s: Seconds in which those workers ran.
        overhead_s: The part of that which is neither loading, warm-up nor a window.
    """

    started_at: str
    wall_s: float
    n_trials: int
    n_rounds: int
    workers_s: float
    overhead_s: float

    @property
    def share(self) -> float:
        """The overhead as a fraction of the sweep's wall time."""
        return self.overhead_s / self.wall_s


def last_sweep(path: Path) -> Sweep | None:
    """The last whole sweep of a store, or `None` if it holds none.

    Raises:
        StoreError: The store cannot be read.
    """
    if not path.exists():
        return None
    rows = store.read(path, _LAST_SWEEP).to_dict("records")
    if not rows:
        return None
    (row,) = rows
    return Sweep(
        started_at=str(row["started_at"]),
        wall_s=float(row["wall_s"]),
        n_trials=int(row["n_trials"]),
        n_rounds=int(row["n_rounds"]),
        workers_s=float(row["workers_s"]),
        overhead_s=float(row["overhead_s"]),
    )
