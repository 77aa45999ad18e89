-- These stand as macros with the trials wanted: a filter on a view of so many parts would leave most
-- of them to work through the whole store. Joins, unlike IN, also tell the scan of a large table which
-- of its rounds are wanted.

-- What each device drew at rest, by meter of the package.
CREATE VIEW idle_power AS
SELECT run_id, device_id, meter, started_at, energy_j / window_s AS idle_w
FROM idle_energy
WHERE domain = 'package' AND energy_j IS NOT NULL;

-- A row per measured repeat: warm-ups and rounds that failed are left out.
CREATE MACRO rates_of(trial_ids) AS TABLE
WITH measured AS MATERIALIZED (
    SELECT
        trials.trial_id, trials.device_id, trials.prompt_tokens,
        rounds.round_id, rounds.run_id, rounds.round,
        repeats.repeat, repeats.started_at, repeats.prefill_s, repeats.ttft_s, repeats.flags,
        repeats.wall_s
    FROM repeats
    JOIN rounds USING (round_id)
    JOIN trials USING (trial_id)
    SEMI JOIN (SELECT unnest(trial_ids) AS trial_id) AS wanted USING (trial_id)
    WHERE rounds.complete AND NOT repeats.warmup
),
decoded AS (
    SELECT round_id, repeat, count(*) AS n_tokens, sum(token_s) AS decode_s
    FROM token_times
    SEMI JOIN measured USING (round_id, repeat)
    GROUP BY round_id, repeat
),
-- Off by a tick of each CPU, so that it is told only of all repeats together.
others AS (
    SELECT
        round_id, repeat,
        max(busy_s - own_cpu_s) FILTER (moment = 'after')
            - max(busy_s - own_cpu_s) FILTER (moment = 'before') AS others_cpu_s
    FROM device_states
    SEMI JOIN measured USING (round_id, repeat)
    GROUP BY round_id, repeat
),
windows AS MATERIALIZED (
    SELECT energy.*, measured.trial_id
    FROM energy
    JOIN measured USING (round_id, repeat)
    WHERE domain = 'package'
),
-- One meter and method per trial, the best that it had: figures are never mixed.
chosen AS (
    SELECT DISTINCT ON (trial_id) trial_id, meter, method
    FROM windows
    ORDER BY
        trial_id, list_position(['measured', 'estimated', 'unavailable'], method), meter
),
-- Of one pass through each phase, also where a window held several.
metered AS (
    SELECT
        round_id, repeat,
        any_value(chosen.meter) AS meter,
        any_value(chosen.method) FILTER (counts) AS energy_method,
        any_value(energy_j / passes) FILTER (counts AND phase = 'prefill') AS prefill_j,
        any_value(energy_j / passes) FILTER (counts AND phase = 'decode') AS decode_j,
        any_value(window_s / passes) FILTER (counts AND phase = 'prefill') AS prefill_window_s,
        any_value(window_s / passes) FILTER (counts AND phase = 'decode') AS decode_window_s,
        any_value(uncertainty_j / passes) FILTER (counts AND phase = 'prefill')
            AS prefill_j_uncertainty,
        any_value(uncertainty_j / passes) FILTER (counts AND phase = 'decode')
            AS decode_j_uncertainty,
        any_value(passes) FILTER (phase = 'prefill') AS prefill_passes,
        any_value(passes) FILTER (phase = 'decode') AS decode_passes,
        any_value(reason) FILTER (phase = 'prefill' AND energy_j IS NULL) AS prefill_j_reason,
        any_value(reason) FILTER (phase = 'decode' AND energy_j IS NULL) AS decode_j_reason
    FROM windows
    JOIN chosen USING (trial_id, meter)
    CROSS JOIN LATERAL (SELECT windows.method = chosen.method AS counts)
    GROUP BY round_id, repeat
),
peaks AS (
    SELECT
        round_id, repeat, meter,
        max(power_w) FILTER (phase = 'prefill') AS prefill_peak_w,
        max(power_w) FILTER (phase = 'decode') AS decode_peak_w
    FROM power_traces
    SEMI JOIN measured USING (round_id, repeat)
    WHERE domain = 'package'
    GROUP BY round_id, repeat, meter
),
-- The last idle baseline before each repeat, in the same run.
rested AS (
    SELECT measured.round_id, measured.repeat, idle_power.idle_w
    FROM measured
    JOIN metered USING (round_id, repeat)
    ASOF JOIN idle_power
        ON measured.run_id = idle_power.run_id
        AND measured.device_id = idle_power.device_id
        AND metered.meter = idle_power.meter
        AND measured.started_at >= idle_power.started_at
)
SELECT
    measured.trial_id, measured.run_id, measured.round_id, measured.round, measured.repeat,
    measured.started_at, measured.flags,
    measured.prefill_s, decoded.decode_s, decoded.n_tokens,
    measured.ttft_s,
    nullif(measured.prompt_tokens, 0) / measured.prefill_s AS prefill_tok_s,
    decoded.n_tokens / decoded.decode_s AS decode_tok_s,
    decoded.decode_s / decoded.n_tokens AS tpot_s,
    metered.prefill_j,
    metered.decode_j,
    metered.prefill_j / nullif(measured.prompt_tokens, 0) AS prefill_j_per_token,
    metered.decode_j / decoded.n_tokens AS decode_j_per_token,
    metered.prefill_j / metered.prefill_window_s AS prefill_w,
    metered.decode_j / metered.decode_window_s AS decode_w,
    (metered.prefill_j + metered.decode_j) / (prefill_window_s + decode_window_s) AS mean_w,
    peaks.prefill_peak_w,
    peaks.decode_peak_w,
    rested.idle_w,
    metered.prefill_j - rested.idle_w * metered.prefill_window_s AS prefill_net_j,
    metered.decode_j - rested.idle_w * metered.decode_window_s AS decode_net_j,
    (metered.decode_j - rested.idle_w * metered.decode_window_s) / decoded.n_tokens
        AS decode_net_j_per_token,
    metered.prefill_j_uncertainty,
    metered.decode_j_uncertainty,
    metered.prefill_j_uncertainty / nullif(measured.prompt_tokens, 0)
        AS prefill_j_per_token_uncertainty,
    metered.decode_j_uncertainty / decoded.n_tokens AS decode_j_per_token_uncertainty,
    metered.prefill_passes,
    metered.decode_passes,
    metered.meter,
    coalesce(metered.energy_method, 'unavailable') AS energy_method,
    CASE
        WHEN metered.round_id IS NULL THEN 'no meter of the package was asked for'
        ELSE coalesce(metered.prefill_j_reason, metered.decode_j_reason)
    END AS energy_reason,
    metered.prefill_j_reason,
    metered.decode_j_reason,
    measured.wall_s,
    others.others_cpu_s
FROM measured
LEFT JOIN decoded USING (round_id, repeat)
LEFT JOIN others USING (round_id, repeat)
LEFT JOIN metered USING (round_id, repeat)
LEFT JOIN peaks USING (round_id, repeat, meter)
LEFT JOIN rested USING (round_id, repeat);

CREATE VIEW rates AS FROM rates_of((SELECT list(trial_id) FROM trials));

-- A row per measured repeat and metric that has a figure.
CREATE MACRO samples_of(trial_ids) AS TABLE
UNPIVOT (
    SELECT
        trial_id, run_id, round_id, round, started_at,
        ${rates}
    FROM rates_of(trial_ids)
)
ON COLUMNS (* EXCLUDE (trial_id, run_id, round_id, round, started_at))
INTO NAME metric VALUE value;
