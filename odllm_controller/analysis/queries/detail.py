"""One trial down to its raw values: rounds, repeats, token times, power, states, failures."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from odllm_controller import store

_ROUNDS = """
SELECT
    round, run_id AS run, started_at, wall_s, load_s, peak_rss_bytes, kv_bytes, waited_s,
    system, complete
FROM rounds
WHERE trial_id = ?
ORDER BY started_at
"""
_REPEATS = """
WITH decoded AS (
    SELECT round_id, repeat, count(*) / sum(token_s) AS decode_tok_s
    FROM token_times
    SEMI JOIN (FROM rounds WHERE trial_id = $trial) AS its USING (round_id)
    GROUP BY round_id, repeat
)
SELECT
    rounds.round, repeats.repeat, repeats.started_at, warmup, complete,
    nullif(prompt_tokens, 0) / prefill_s AS prefill_tok_s, decode_tok_s, ttft_s,
    array_to_string(flags, ', ') AS flags
FROM repeats
JOIN rounds USING (round_id)
JOIN trials USING (trial_id)
LEFT JOIN decoded USING (round_id, repeat)
WHERE trial_id = $trial
ORDER BY repeats.started_at, round_id, repeats.repeat
"""
# A long output has too many tokens to draw one by one: those of one place are taken together.
_TOKENS = """
WITH tokens AS (
    SELECT position, token_s
    FROM token_times
    JOIN repeats USING (round_id, repeat)
    JOIN rounds USING (round_id)
    WHERE trial_id = $trial AND complete AND NOT warmup
),
step AS (SELECT greatest(1, ceil((max(position) + 1) / $places))::INTEGER AS size FROM tokens)
SELECT
    position // size * size AS position,
    count(*)::INTEGER AS tokens,
    median(token_s) AS token_s,
    quantile_cont(token_s, 0.05) AS token_s_low,
    quantile_cont(token_s, 0.95) AS token_s_high,
    max(token_s) AS slowest_s
FROM tokens, step
GROUP BY ALL
ORDER BY position
"""
_POWER = """
SELECT round, repeat, phase, domain, meter, start_s, end_s, power_w
FROM power_traces
JOIN rounds USING (round_id)
WHERE trial_id = ? AND repeat IS NOT NULL
ORDER BY round, repeat, domain, meter, start_s
"""
_ENERGY = """
SELECT
    phase, domain, meter, method, count(energy_j)::INTEGER AS windows,
    median(energy_j / passes) AS energy_j,
    median(energy_j / window_s) AS power_w,
    median(uncertainty_j / passes) AS uncertainty_j,
    string_agg(DISTINCT nullif(reason, ''), '; ') AS reason
FROM energy
JOIN rounds USING (round_id)
LEFT JOIN repeats USING (round_id, repeat)
WHERE trial_id = ? AND complete AND NOT coalesce(warmup, false)
GROUP BY phase, domain, meter, method
ORDER BY phase DESC, domain, meter, method
"""
_STATES = """
SELECT
    round, repeat, moment, on_battery, governor, power_profile, frequency_hz, temperature_c,
    throttle_count, quota_throttle_count, available_bytes, device_states.swapped_bytes
FROM device_states
JOIN rounds USING (round_id)
WHERE trial_id = ?
ORDER BY started_at, repeat, moment DESC
"""
_FAILURES = """
SELECT
    round, rounds.run_id AS run, kind, message, remedy, signal, traceback, log
FROM failures
JOIN rounds USING (round_id)
WHERE trial_id = ?
ORDER BY failure_id
"""
_FILE = """
SELECT models.* EXCLUDE (sha256, name, quantization, no_quality)
FROM models
JOIN trials ON trials.model_sha256 = models.sha256
WHERE trial_id = ?
"""
_PLACES = 600


@dataclass(frozen=True, slots=True)
class Detail:
    """What the store has of one trial; every table may be empty.

    Attributes:
        rounds: A row per round, failed ones included.
        repeats: A row per repeat, warm-ups included, in the order of time.
        tokens: Token times by their place in the output, over all measured repeats: the median,
            the 5 % and 95 % quantiles and the slowest. Of a long output, places are taken together.
        power: A row per sample of a power trace, in seconds since the start of its repeat.
        energy: A row per phase, domain and meter: medians over all measured repeats.
        states: The device before and after each repeat.
        failures: What went wrong, with traceback and log.
        file: One row on the model's file: what its header says, and what it consists of.
    """

    rounds: pd.DataFrame
    repeats: pd.DataFrame
    tokens: pd.DataFrame
    power: pd.DataFrame
    energy: pd.DataFrame
    states: pd.DataFrame
    failures: pd.DataFrame
    file: pd.DataFrame


def load(path: Path, trial_id: str) -> Detail:
    """Everything that was recorded of a trial.

    Args:
        path: The store.
        trial_id: The trial.

    Raises:
        StoreError: The store cannot be read.
    """
    named = {"trial": trial_id}
    return Detail(
        rounds=store.read(path, _ROUNDS, [trial_id]),
        repeats=store.read(path, _REPEATS, named),
        tokens=store.read(path, _TOKENS, {**named, "places": _PLACES}),
        power=store.read(path, _POWER, [trial_id]),
        energy=store.read(path, _ENERGY, [trial_id]),
        states=store.read(path, _STATES, [trial_id]),
        failures=store.read(path, _FAILURES, [trial_id]),
        file=store.read(path, _FILE, [trial_id]),
    )
