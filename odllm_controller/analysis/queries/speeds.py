"""How fast a device was before: what a time estimate rests on."""

from dataclasses import dataclass
from pathlib import Path

from odllm_controller import store

_SPEEDS = """
WITH whole AS (
    SELECT rounds.* FROM rounds JOIN trials USING (trial_id) WHERE device_id = ? AND complete
),
repeated AS (
    SELECT round_id, sum(prefill_s) AS prefill_s
    FROM repeats
    SEMI JOIN whole USING (round_id)
    GROUP BY round_id
),
decoded AS (
    SELECT round_id, sum(token_s) AS decode_s
    FROM token_times
    SEMI JOIN whole USING (round_id)
    GROUP BY round_id
),
of_rounds AS (
    SELECT
        trial_id,
        median(load_s) AS load_s,
        greatest(0, median(wall_s - load_s - prefill_s - decode_s)) AS start_s
    FROM whole
    JOIN repeated USING (round_id)
    JOIN decoded USING (round_id)
    GROUP BY trial_id
)
SELECT
    trials.engine, models.file_bytes, models.weight_bytes, models.n_weights,
    of_rounds.start_s, of_rounds.load_s,
    1 / summaries.prefill_tok_s AS prefill_token_s,
    summaries.tpot_s AS decode_token_s
FROM of_rounds
JOIN trials USING (trial_id)
JOIN models ON models.sha256 = trials.model_sha256
JOIN summaries USING (trial_id)
WHERE summaries.prefill_tok_s IS NOT NULL AND summaries.tpot_s IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one trial was; all times are medians.

    Attributes:
        engine: The engine's name.
        file_bytes: The size of its model file.
        weight_bytes: The bytes of its weights.
        n_weights: The number of them.
        start_s: What a round took beside loading and its windows.
        load_s: Loading the model.
        prefill_token_s: A token of a prompt.
        decode_token_s: An output token.
    """

    engine: str
    file_bytes: int
    weight_bytes: int
    n_weights: int
    start_s: float
    load_s: float
    prefill_token_s: float
    decode_token_s: float


def load(path: Path, device_id: str) -> tuple[Speed, ...]:
    """How fast the trials of a device were; nothing if there is no store yet.

    Args:
        path: The store.
        device_id: The device.

    Raises:
        StoreError: The store is there and cannot be read.
    """
    if not path.exists():
        return ()
    found = store.read(path, _SPEEDS, [device_id])
    return tuple(Speed(*row) for row in found.itertuples(index=False, name=None))
