-- A row per trial that has whole rounds: what the rates of its repeats, in fresh_rates, and the ends
-- of its intervals, in fresh_ends, come to.
WITH repeated AS (
    SELECT
        trial_id,
        count(*) AS repeats,
        count(*) FILTER (len(flags) > 0) AS flagged_repeats,
        array_to_string(list_sort(list_distinct(flatten(list(flags)))), ',') AS flags,
        any_value(meter) AS meter,
        coalesce(
            any_value(energy_method) FILTER (energy_method <> 'unavailable'), 'unavailable'
        ) AS energy_method,
        -- A phase is told to have none only where none of its repeats has a figure.
        CASE
            WHEN count(prefill_j) + count(decode_j) = 0 THEN max(energy_reason)
            WHEN count(prefill_j) = 0 THEN max(prefill_j_reason)
            WHEN count(decode_j) = 0 THEN max(decode_j_reason)
        END AS energy_reason,
        greatest(0, sum(others_cpu_s) / nullif(sum(wall_s), 0)) AS others_cores,
        median(idle_w) AS idle_w,
        median(prefill_j_uncertainty) AS prefill_j_uncertainty,
        median(decode_j_uncertainty) AS decode_j_uncertainty,
        median(prefill_j_per_token_uncertainty) AS prefill_j_per_token_uncertainty,
        median(decode_j_per_token_uncertainty) AS decode_j_per_token_uncertainty,
        max(prefill_passes) AS prefill_passes,
        max(decode_passes) AS decode_passes,
        median(COLUMNS([${rate_names}])),
        avg(ttft_s) AS ttft_s_mean,
        avg(prefill_tok_s) AS prefill_tok_s_mean,
        avg(decode_tok_s) AS decode_tok_s_mean,
        avg(tpot_s) AS tpot_s_mean,
        avg(decode_j_per_token) AS decode_j_per_token_mean
    FROM fresh_rates
    GROUP BY trial_id
),
ends AS (
    FROM (
        PIVOT (SELECT trial_id, metric, low, high FROM fresh_ends)
        ON metric IN (${rate_names})
        USING any_value(low) AS low, any_value(high) AS high
    )
),
floors AS (
    SELECT
        trial_id,
        any_value(floor) FILTER (phase = 'prefill') AS prefill_floor,
        any_value(floor) FILTER (phase = 'decode') AS decode_floor
    FROM (
        SELECT
            trial_id, phase,
            struct_pack(read_bytes, operations, traffic_s, compute_s, missing) AS floor
        FROM floors_of((SELECT list(trial_id) FROM fresh_trials))
    )
    GROUP BY trial_id
),
whole AS (
    SELECT rounds.*, device_id, meter, energy_method
    FROM rounds
    SEMI JOIN fresh_trials USING (trial_id)
    JOIN trials USING (trial_id)
    LEFT JOIN repeated USING (trial_id)
    WHERE complete
),
load_peaks AS (
    SELECT round_id, meter, max(power_w) AS peak_w
    FROM power_traces
    SEMI JOIN whole USING (round_id)
    WHERE phase = 'load' AND domain = 'package'
    GROUP BY round_id, meter
),
load_windows AS (
    SELECT
        round_id, run_id, device_id, meter, whole.started_at,
        energy_j, uncertainty_j, window_s, nullif(reason, '') AS reason
    FROM energy
    JOIN whole USING (round_id, meter)
    WHERE phase = 'load' AND domain = 'package'
    AND energy.method IN (whole.energy_method, 'unavailable')
),
load_energy AS (
    SELECT
        load_windows.round_id, energy_j, uncertainty_j, reason, peak_w,
        energy_j / window_s AS mean_w,
        energy_j - idle_w * window_s AS net_j
    FROM load_windows
    LEFT JOIN load_peaks USING (round_id, meter)
    ASOF LEFT JOIN idle_power
        ON load_windows.run_id = idle_power.run_id
        AND load_windows.device_id = idle_power.device_id
        AND load_windows.meter = idle_power.meter
        AND load_windows.started_at >= idle_power.started_at
),
loaded AS (
    SELECT
        trial_id,
        median(load_s) AS load_s,
        median(runtime_bpw) AS runtime_bpw,
        max(nullif(no_work, '')) AS no_work,
        median(peak_rss_bytes) AS peak_rss_bytes,
        median(anonymous_bytes) AS anonymous_bytes,
        median(mapped_bytes) AS mapped_bytes,
        median(loaded_bytes) AS loaded_bytes,
        median(kv_bytes) AS kv_bytes,
        median(compute_bytes) AS compute_bytes,
        max(nullif(memory_reason, '')) AS memory_reason,
        sum(waited_s) AS waited_s,
        median(load_energy.energy_j) AS load_j,
        median(load_energy.uncertainty_j) AS load_j_uncertainty,
        median(load_energy.net_j) AS load_net_j,
        median(load_energy.mean_w) AS load_w,
        median(load_energy.peak_w) AS load_peak_w,
        CASE WHEN load_j IS NULL THEN max(load_energy.reason) END AS load_j_reason
    FROM whole
    LEFT JOIN load_energy USING (round_id)
    GROUP BY trial_id
)
SELECT
    loaded.*,
    repeated.* EXCLUDE (trial_id, meter),
    ends.* EXCLUDE (trial_id),
    floors.* EXCLUDE (trial_id),
    nullif(decode.reason, '') AS interval_reason
FROM loaded
LEFT JOIN repeated USING (trial_id)
LEFT JOIN ends USING (trial_id)
LEFT JOIN floors USING (trial_id)
LEFT JOIN fresh_ends AS decode
    ON decode.trial_id = loaded.trial_id AND decode.metric = 'decode_tok_s'
