-- These three stand as macros with the trials wanted, or NULL for all: a filter on a view of so many
-- parts would leave most of them to work through the whole store.

-- One meter and method per trial, the best that it had: figures are never mixed.
CREATE MACRO chosen_meters_of(trial_ids) AS TABLE
SELECT trial_id, meter, method
FROM energy
JOIN repeats USING (round_id, repeat)
JOIN rounds USING (round_id)
WHERE domain = 'package' AND rounds.complete AND NOT repeats.warmup
AND (trial_ids IS NULL OR trial_id IN (SELECT unnest(trial_ids)))
GROUP BY trial_id, meter, method
QUALIFY 1 = row_number() OVER (
    PARTITION BY trial_id
    ORDER BY list_position(['measured', 'estimated', 'unavailable'], method), meter
);

CREATE VIEW chosen_meters AS FROM chosen_meters_of(NULL);

-- What each device drew at rest, by meter of the package.
CREATE VIEW idle_power AS
SELECT run_id, device_id, meter, started_at, energy_j / window_s AS idle_w
FROM idle_energy
WHERE domain = 'package' AND energy_j IS NOT NULL;

-- A row per measured repeat: warm-ups and rounds that failed are left out.
CREATE MACRO rates_of(trial_ids) AS TABLE
WITH measured AS (
    SELECT
        trials.trial_id, trials.device_id, trials.prompt_tokens,
        rounds.round_id, rounds.run_id, rounds.round,
        repeats.repeat, repeats.started_at, repeats.prefill_s, repeats.ttft_s, repeats.flags,
        repeats.wall_s
    FROM repeats
    JOIN rounds USING (round_id)
    JOIN trials USING (trial_id)
    WHERE rounds.complete AND NOT repeats.warmup
    AND (trial_ids IS NULL OR trials.trial_id IN (SELECT unnest(trial_ids)))
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
-- Of one pass through each phase, also where a window held several.
metered AS (
    SELECT
        round_id, repeat,
        any_value(chosen_meters.meter) AS meter,
        any_value(chosen_meters.method) FILTER (counts) AS energy_method,
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
    FROM (
        SELECT energy.*, measured.trial_id
        FROM energy
        JOIN measured USING (round_id, repeat)
        WHERE domain = 'package'
    ) AS windows
    JOIN chosen_meters_of(trial_ids) AS chosen_meters USING (trial_id, meter)
    CROSS JOIN LATERAL (SELECT windows.method = chosen_meters.method AS counts)
    GROUP BY round_id, repeat
),
peaks AS (
    SELECT
        round_id, repeat, meter,
        max(power_w) FILTER (phase = 'prefill') AS prefill_peak_w,
        max(power_w) FILTER (phase = 'decode') AS decode_peak_w
    FROM power_traces
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

CREATE VIEW rates AS FROM rates_of(NULL);

-- A row per measured repeat and metric that has a figure.
CREATE MACRO samples_of(trial_ids) AS TABLE
UNPIVOT (
    SELECT
        trial_id, run_id, round_id, round, started_at,
        ttft_s, prefill_tok_s, decode_tok_s, tpot_s, prefill_j, decode_j,
        decode_j_per_token, prefill_w, decode_w, mean_w, prefill_j_per_token,
        prefill_peak_w, decode_peak_w, prefill_net_j, decode_net_j, decode_net_j_per_token
    FROM rates_of(trial_ids)
)
ON COLUMNS (* EXCLUDE (trial_id, run_id, round_id, round, started_at))
INTO NAME metric VALUE value;

CREATE VIEW samples AS FROM samples_of(NULL);

-- A row per trial and metric: the median of its repeats with its 95 % interval, and their mean.
CREATE VIEW intervals AS
WITH summary AS (
    SELECT
        trial_id, metric,
        count(*)::INTEGER AS n,
        count(DISTINCT round_id)::INTEGER AS rounds,
        median(value) AS median,
        avg(value) AS mean
    FROM samples
    GROUP BY trial_id, metric
)
SELECT trial_id, metric, n, rounds, median, low, high, mean, nullif(reason, '') AS reason
FROM summary
LEFT JOIN bounds USING (trial_id, metric);

-- Of each ceiling the latest that has a figure, or else the latest reason for none.
CREATE VIEW latest_ceilings AS
SELECT * FROM ceilings
QUALIFY 1 = row_number() OVER (
    PARTITION BY device_id, engine, engine_version, threads, name
    ORDER BY per_s IS NOT NULL DESC, measured_at DESC
);

-- A row per trial and phase, of a prompt or of the mean output token: what it had to do, how long it
-- took, and how long reading and computing would take at the device's ceilings. A share is the part
-- of the time that the ceiling explains; bytes that come from a cache can make it more than 1.
CREATE VIEW shares AS
WITH floors AS (
    SELECT
        work.trial_id, work.phase,
        sum(work.read_bytes) AS read_bytes,
        sum(work.operations) AS operations,
        sum(work.read_bytes) / any_value(reading.per_s) AS traffic_s,
        CASE
            WHEN bool_and(work.operations = 0 OR multiplying.per_s IS NOT NULL)
                THEN sum(work.operations / multiplying.per_s)
        END AS compute_s,
        coalesce(
            max(nullif(reading.reason, '')),
            max(nullif(multiplying.reason, '')) FILTER (work.operations > 0),
            'its ceiling was not measured on this device'
        ) AS missing
    FROM work
    JOIN trials USING (trial_id)
    LEFT JOIN latest_ceilings AS reading
        ON reading.device_id = trials.device_id
        AND reading.engine = trials.engine
        AND reading.engine_version = trials.engine_version
        AND reading.threads = TRY_CAST(trials.settings ->> 'threads' AS INTEGER)
        AND reading.name = 'read'
    LEFT JOIN latest_ceilings AS multiplying
        ON multiplying.device_id = trials.device_id
        AND multiplying.engine = trials.engine
        AND multiplying.engine_version = trials.engine_version
        AND multiplying.threads = TRY_CAST(trials.settings ->> 'threads' AS INTEGER)
        AND multiplying.name = work.type
    GROUP BY work.trial_id, work.phase
),
times AS (
    SELECT trial_id, 'decode' AS phase, median AS window_s, low AS window_s_low,
        high AS window_s_high
    FROM intervals
    WHERE metric = 'tpot_s'
    UNION ALL
    SELECT trial_id, 'prefill', prompt_tokens / median, prompt_tokens / high, prompt_tokens / low
    FROM intervals
    JOIN trials USING (trial_id)
    WHERE metric = 'prefill_tok_s'
),
found AS (
    SELECT
        *,
        traffic_s / window_s AS traffic_share,
        compute_s / window_s AS compute_share
    FROM floors
    JOIN times USING (trial_id, phase)
)
SELECT
    *,
    -- What explains more than half of the time, and clearly more of it than the other.
    CASE
        WHEN traffic_share IS NULL OR compute_share IS NULL THEN NULL
        WHEN traffic_share >= greatest(0.5, 1.25 * compute_share) THEN 'traffic'
        WHEN compute_share >= greatest(0.5, 1.25 * traffic_share) THEN 'compute'
        ELSE 'undecided'
    END AS bound
FROM found;

-- The public view: a row per trial, one per trial that cannot run, one per model that could not be
-- prepared, and what was imported as figures.
CREATE VIEW results AS
WITH plan AS (
    SELECT
        trial_id,
        arg_max(rounds, (runs.started_at, run_id)) AS planned_rounds,
        arg_max(rounds_at_most, (runs.started_at, run_id)) AS rounds_at_most,
        arg_max_null(interval_target, (runs.started_at, run_id)) AS interval_target,
        max(runs.started_at) AS planned_at
    FROM planned
    JOIN runs USING (run_id)
    GROUP BY trial_id
),
-- The run that measured a trial last, or else the one that planned it last.
origin AS (
    SELECT trial_id, arg_max(run_id, (measured, started_at)) AS run
    FROM (
        SELECT trial_id, run_id, true AS measured, started_at FROM rounds
        UNION ALL
        SELECT trial_id, run_id, false, runs.started_at FROM planned JOIN runs USING (run_id)
    )
    GROUP BY trial_id
),
attempts AS (
    SELECT
        trial_id, round,
        bool_or(complete) AS complete,
        arg_max(round_id, started_at) AS last_round_id
    FROM rounds
    GROUP BY trial_id, round
),
progress AS (
    SELECT
        trial_id,
        count(*) FILTER (complete) AS rounds,
        max(round) FILTER (complete) + 1 AS rounds_reached,
        max(last_round_id) FILTER (NOT complete) AS failed_round_id
    FROM attempts
    LEFT JOIN plan USING (trial_id)
    WHERE round < coalesce(rounds_at_most, round + 1)
    GROUP BY trial_id
),
-- Trials that a run left because their device did not answer, unless a later run plans them.
holds AS (
    SELECT trial_id, arg_max(reason, runs.started_at) AS reason
    FROM held
    JOIN runs USING (run_id)
    LEFT JOIN plan USING (trial_id)
    WHERE runs.started_at >= coalesce(planned_at, runs.started_at)
    GROUP BY trial_id
),
load_peaks AS (
    SELECT round_id, meter, max(power_w) AS peak_w
    FROM power_traces
    WHERE phase = 'load' AND domain = 'package'
    GROUP BY round_id, meter
),
load_windows AS (
    SELECT
        round_id, run_id, device_id, meter, rounds.started_at,
        energy_j, uncertainty_j, window_s, nullif(reason, '') AS reason
    FROM energy
    JOIN rounds USING (round_id)
    JOIN trials USING (trial_id)
    JOIN chosen_meters USING (trial_id, meter)
    WHERE phase = 'load' AND domain = 'package'
    AND energy.method IN (chosen_meters.method, 'unavailable')
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
loads AS (
    SELECT
        trial_id,
        median(load_s) AS load_s,
        median(runtime_bpw) AS runtime_bpw,
        any_value(nullif(no_work, '')) AS no_work,
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
        any_value(load_energy.reason) AS load_j_reason
    FROM rounds
    LEFT JOIN load_energy USING (round_id)
    WHERE complete
    GROUP BY trial_id
),
measured AS (
    SELECT
        trial_id,
        count(*) AS repeats,
        count(*) FILTER (len(flags) > 0) AS flagged_repeats,
        array_to_string(list_sort(list_distinct(flatten(list(flags)))), ',') AS flags,
        coalesce(
            any_value(energy_method) FILTER (energy_method <> 'unavailable'), 'unavailable'
        ) AS energy_method,
        -- A phase is told to have none only where none of its repeats has a figure.
        CASE
            WHEN count(prefill_j) + count(decode_j) = 0 THEN any_value(energy_reason)
            WHEN count(prefill_j) = 0 THEN any_value(prefill_j_reason)
            WHEN count(decode_j) = 0 THEN any_value(decode_j_reason)
        END AS energy_reason,
        greatest(0, sum(others_cpu_s) / nullif(sum(wall_s), 0)) AS others_cores,
        median(idle_w) AS idle_w,
        median(prefill_j_uncertainty) AS prefill_j_uncertainty,
        median(decode_j_uncertainty) AS decode_j_uncertainty,
        median(prefill_j_per_token_uncertainty) AS prefill_j_per_token_uncertainty,
        median(decode_j_per_token_uncertainty) AS decode_j_per_token_uncertainty,
        max(prefill_passes) AS prefill_passes,
        max(decode_passes) AS decode_passes
    FROM rates
    GROUP BY trial_id
),
figures AS (
    SELECT
        trial_id,
        max(median) FILTER (metric = 'ttft_s') AS ttft_s,
        max(low) FILTER (metric = 'ttft_s') AS ttft_s_low,
        max(high) FILTER (metric = 'ttft_s') AS ttft_s_high,
        max(median) FILTER (metric = 'prefill_tok_s') AS prefill_tok_s,
        max(low) FILTER (metric = 'prefill_tok_s') AS prefill_tok_s_low,
        max(high) FILTER (metric = 'prefill_tok_s') AS prefill_tok_s_high,
        max(median) FILTER (metric = 'decode_tok_s') AS decode_tok_s,
        max(low) FILTER (metric = 'decode_tok_s') AS decode_tok_s_low,
        max(high) FILTER (metric = 'decode_tok_s') AS decode_tok_s_high,
        max(median) FILTER (metric = 'tpot_s') AS tpot_s,
        max(low) FILTER (metric = 'tpot_s') AS tpot_s_low,
        max(high) FILTER (metric = 'tpot_s') AS tpot_s_high,
        max(median) FILTER (metric = 'prefill_j') AS prefill_j,
        max(low) FILTER (metric = 'prefill_j') AS prefill_j_low,
        max(high) FILTER (metric = 'prefill_j') AS prefill_j_high,
        max(median) FILTER (metric = 'decode_j') AS decode_j,
        max(low) FILTER (metric = 'decode_j') AS decode_j_low,
        max(high) FILTER (metric = 'decode_j') AS decode_j_high,
        max(median) FILTER (metric = 'decode_j_per_token') AS decode_j_per_token,
        max(low) FILTER (metric = 'decode_j_per_token') AS decode_j_per_token_low,
        max(high) FILTER (metric = 'decode_j_per_token') AS decode_j_per_token_high,
        max(median) FILTER (metric = 'prefill_w') AS prefill_w,
        max(low) FILTER (metric = 'prefill_w') AS prefill_w_low,
        max(high) FILTER (metric = 'prefill_w') AS prefill_w_high,
        max(median) FILTER (metric = 'decode_w') AS decode_w,
        max(low) FILTER (metric = 'decode_w') AS decode_w_low,
        max(high) FILTER (metric = 'decode_w') AS decode_w_high,
        max(median) FILTER (metric = 'mean_w') AS mean_w,
        max(low) FILTER (metric = 'mean_w') AS mean_w_low,
        max(high) FILTER (metric = 'mean_w') AS mean_w_high,
        max(mean) FILTER (metric = 'ttft_s') AS ttft_s_mean,
        max(mean) FILTER (metric = 'prefill_tok_s') AS prefill_tok_s_mean,
        max(mean) FILTER (metric = 'decode_tok_s') AS decode_tok_s_mean,
        max(mean) FILTER (metric = 'tpot_s') AS tpot_s_mean,
        max(mean) FILTER (metric = 'decode_j_per_token') AS decode_j_per_token_mean,
        max(reason) FILTER (metric = 'decode_tok_s') AS interval_reason,
        max(median) FILTER (metric = 'prefill_j_per_token') AS prefill_j_per_token,
        max(low) FILTER (metric = 'prefill_j_per_token') AS prefill_j_per_token_low,
        max(high) FILTER (metric = 'prefill_j_per_token') AS prefill_j_per_token_high,
        max(median) FILTER (metric = 'prefill_peak_w') AS prefill_peak_w,
        max(low) FILTER (metric = 'prefill_peak_w') AS prefill_peak_w_low,
        max(high) FILTER (metric = 'prefill_peak_w') AS prefill_peak_w_high,
        max(median) FILTER (metric = 'decode_peak_w') AS decode_peak_w,
        max(low) FILTER (metric = 'decode_peak_w') AS decode_peak_w_low,
        max(high) FILTER (metric = 'decode_peak_w') AS decode_peak_w_high,
        max(median) FILTER (metric = 'prefill_net_j') AS prefill_net_j,
        max(low) FILTER (metric = 'prefill_net_j') AS prefill_net_j_low,
        max(high) FILTER (metric = 'prefill_net_j') AS prefill_net_j_high,
        max(median) FILTER (metric = 'decode_net_j') AS decode_net_j,
        max(low) FILTER (metric = 'decode_net_j') AS decode_net_j_low,
        max(high) FILTER (metric = 'decode_net_j') AS decode_net_j_high,
        max(median) FILTER (metric = 'decode_net_j_per_token') AS decode_net_j_per_token,
        max(low) FILTER (metric = 'decode_net_j_per_token') AS decode_net_j_per_token_low,
        max(high) FILTER (metric = 'decode_net_j_per_token') AS decode_net_j_per_token_high
    FROM intervals
    GROUP BY trial_id
),
-- Why a trial takes no more rounds, once it has all that it must have.
stops AS (
    SELECT
        trial_id,
        CASE
            WHEN failed_round_id IS NOT NULL OR rounds < coalesce(planned_rounds, rounds_reached)
                THEN NULL
            WHEN (decode_tok_s_high - decode_tok_s_low) / decode_tok_s <= interval_target
                THEN 'narrow'
            WHEN rounds >= coalesce(rounds_at_most, rounds_reached) THEN 'cap'
        END AS stopped
    FROM progress
    LEFT JOIN plan USING (trial_id)
    LEFT JOIN figures USING (trial_id)
),
ceiled AS (
    SELECT
        trial_id,
        max(read_bytes) FILTER (phase = 'decode') AS decode_read_bytes,
        max(traffic_share) FILTER (phase = 'decode') AS mbu,
        max(traffic_s / window_s_high) FILTER (phase = 'decode') AS mbu_low,
        max(traffic_s / window_s_low) FILTER (phase = 'decode') AS mbu_high,
        max(compute_share) FILTER (phase = 'decode') AS decode_compute_fraction,
        max(bound) FILTER (phase = 'decode') AS bound,
        max(compute_share) FILTER (phase = 'prefill') AS prefill_compute_fraction,
        max(compute_s / window_s_high) FILTER (phase = 'prefill') AS prefill_compute_fraction_low,
        max(compute_s / window_s_low) FILTER (phase = 'prefill') AS prefill_compute_fraction_high,
        max(bound) FILTER (phase = 'prefill') AS prefill_bound,
        max(missing) FILTER (bound IS NULL) AS missing
    FROM shares
    GROUP BY trial_id
),
-- Quality hangs on the file and the engine, not on how fast the engine was made to run. Of all
-- checks on a text the latest counts that gave anything, and so of all on the same task: figures
-- of different texts are never mixed.
checks AS (
    SELECT
        check_id, run_id, device_id, model_sha256, engine, kind, subject,
        row_number() OVER (
            PARTITION BY device_id, model_sha256, engine, kind, if(kind = 'task', subject, '')
            ORDER BY count(value) > 0 DESC, max(started_at) DESC, check_id
        ) AS place
    FROM quality
    JOIN runs USING (run_id)
    GROUP BY check_id, run_id, device_id, model_sha256, engine, kind, subject
),
scores AS (
    SELECT quality.*
    FROM quality
    SEMI JOIN (FROM checks WHERE place = 1) AS latest USING (check_id, run_id)
),
text_quality AS (
    SELECT
        device_id, model_sha256, engine,
        any_value(subject) AS quality_text,
        max(value) FILTER (metric = 'perplexity') AS perplexity,
        max(standard_error) FILTER (metric = 'perplexity') AS perplexity_se,
        max(nullif(reason, '')) FILTER (metric = 'perplexity') AS perplexity_reason,
        max(value) FILTER (metric = 'kld') AS kld,
        max(standard_error) FILTER (metric = 'kld') AS kld_se,
        max(nullif(reason, '')) FILTER (metric <> 'perplexity') AS kld_reason,
        max(value) FILTER (metric = 'top1_agreement') AS top1_agreement,
        max(standard_error) FILTER (metric = 'top1_agreement') AS top1_agreement_se,
        max(value) FILTER (metric = 'delta_p') AS delta_p,
        max(standard_error) FILTER (metric = 'delta_p') AS delta_p_se,
        max(value) FILTER (metric = 'delta_p_rms') AS delta_p_rms,
        max(standard_error) FILTER (metric = 'delta_p_rms') AS delta_p_rms_se
    FROM scores
    WHERE kind = 'text'
    GROUP BY device_id, model_sha256, engine
),
-- A mean over tasks is told only where every one of them has a figure.
task_quality AS (
    SELECT
        device_id, model_sha256, engine,
        CASE WHEN count(value) = count(*) THEN avg(value) END AS accuracy,
        CASE WHEN count(value) = count(*) THEN sqrt(sum(standard_error ** 2)) / count(*) END
            AS accuracy_se,
        max(nullif(reason, '')) AS accuracy_reason,
        json_group_object(subject, value) AS accuracies
    FROM scores
    WHERE kind = 'task' AND metric = 'accuracy'
    GROUP BY device_id, model_sha256, engine
),
last_failures AS (
    SELECT round_id, kind, message, remedy FROM failures WHERE stage = 'measure'
),
of_trials AS (
    SELECT
        origin.run,
        devices.name AS device,
        devices.kind AS device_kind,
        trials.engine,
        models.name AS model,
        models.quantization,
        CASE
            WHEN progress.trial_id IS NULL AND holds.trial_id IS NOT NULL THEN 'held'
            WHEN progress.trial_id IS NULL THEN 'planned'
            WHEN progress.failed_round_id IS NOT NULL THEN 'failed'
            WHEN stops.stopped IS NOT NULL THEN 'done'
            WHEN holds.trial_id IS NOT NULL THEN 'held'
            ELSE 'partial'
        END AS status,
        8 * models.weight_bytes / nullif(models.n_weights, 0) AS file_bpw,
        loads.runtime_bpw,
        models.file_bytes,
        trials.prompt_tokens,
        trials.output_tokens,
        coalesce(measured.repeats, 0) AS repeats,
        figures.* EXCLUDE (trial_id),
        loads.peak_rss_bytes,
        measured.energy_method,
        ceiled.mbu,
        text_quality.perplexity,
        text_quality.kld,
        measured.flags,
        last_failures.message AS failure,
        trials.trial_id,
        trials.device_id,
        trials.model_sha256,
        trials.workload,
        trials.depth_tokens,
        trials.engine_version,
        trials.settings,
        TRY_CAST(trials.settings ->> 'threads' AS INTEGER) AS threads,
        coalesce(progress.rounds, 0) AS rounds,
        plan.planned_rounds,
        plan.rounds_at_most,
        stops.stopped,
        measured.flagged_repeats,
        loads.load_s,
        loads.anonymous_bytes,
        measured.energy_reason,
        measured.idle_w,
        measured.prefill_j_uncertainty,
        measured.decode_j_uncertainty,
        measured.prefill_j_per_token_uncertainty,
        measured.decode_j_per_token_uncertainty,
        measured.prefill_passes,
        measured.decode_passes,
        loads.load_j,
        loads.load_j_uncertainty,
        loads.load_net_j,
        loads.load_w,
        loads.load_peak_w,
        CASE WHEN loads.load_j IS NULL THEN loads.load_j_reason END AS load_j_reason,
        CASE
            WHEN figures.decode_net_j IS NOT NULL THEN NULL
            WHEN figures.decode_j IS NULL THEN measured.energy_reason
            WHEN measured.idle_w IS NULL THEN 'no idle power was measured before it'
        END AS net_reason,
        text_quality.perplexity_se,
        coalesce(nullif(models.no_quality, ''), text_quality.perplexity_reason)
            AS perplexity_reason,
        text_quality.kld_se,
        coalesce(nullif(models.no_quality, ''), text_quality.kld_reason) AS kld_reason,
        text_quality.top1_agreement,
        text_quality.top1_agreement_se,
        text_quality.delta_p,
        text_quality.delta_p_se,
        text_quality.delta_p_rms,
        text_quality.delta_p_rms_se,
        text_quality.quality_text,
        task_quality.accuracy,
        task_quality.accuracy_se,
        coalesce(nullif(models.no_quality, ''), task_quality.accuracy_reason)
            AS accuracy_reason,
        task_quality.accuracies,
        last_failures.kind AS failure_kind,
        last_failures.remedy,
        runs.started_at AS run_started_at,
        models.n_weights,
        ceiled.mbu_low,
        ceiled.mbu_high,
        ceiled.prefill_compute_fraction,
        ceiled.prefill_compute_fraction_low,
        ceiled.prefill_compute_fraction_high,
        ceiled.decode_compute_fraction,
        ceiled.bound,
        ceiled.prefill_bound,
        ceiled.decode_read_bytes,
        coalesce(loads.no_work, ceiled.missing) AS ceiling_reason,
        loads.mapped_bytes,
        loads.loaded_bytes,
        loads.kv_bytes,
        loads.compute_bytes,
        loads.memory_reason,
        loads.waited_s,
        measured.others_cores,
        CASE WHEN stops.stopped IS NULL THEN holds.reason END AS hold_reason
    FROM trials
    JOIN models ON models.sha256 = trials.model_sha256
    LEFT JOIN devices USING (device_id)
    LEFT JOIN origin USING (trial_id)
    LEFT JOIN runs ON runs.run_id = origin.run
    LEFT JOIN plan USING (trial_id)
    LEFT JOIN progress USING (trial_id)
    LEFT JOIN stops USING (trial_id)
    LEFT JOIN holds USING (trial_id)
    LEFT JOIN loads USING (trial_id)
    LEFT JOIN measured USING (trial_id)
    LEFT JOIN figures USING (trial_id)
    LEFT JOIN ceiled USING (trial_id)
    LEFT JOIN text_quality USING (device_id, model_sha256, engine)
    LEFT JOIN task_quality USING (device_id, model_sha256, engine)
    LEFT JOIN last_failures ON last_failures.round_id = progress.failed_round_id
),
-- A model that could not be prepared, unless a later run got it ready.
unprepared AS (
    SELECT
        failures.run_id AS run,
        devices.name AS device,
        devices.kind AS device_kind,
        failures.model,
        failures.quantization,
        'failed' AS status,
        0 AS repeats,
        failures.message AS failure,
        failures.device_id,
        0 AS rounds,
        failures.kind AS failure_kind,
        failures.remedy,
        runs.started_at AS run_started_at
    FROM failures
    JOIN runs USING (run_id)
    LEFT JOIN devices USING (device_id)
    WHERE stage = 'prepare'
    AND NOT EXISTS (
        FROM planned
        JOIN runs AS later USING (run_id)
        JOIN trials USING (trial_id)
        JOIN models ON models.sha256 = trials.model_sha256
        WHERE later.started_at >= runs.started_at
        AND trials.device_id = failures.device_id
        AND models.name = failures.model
        AND models.quantization = coalesce(failures.quantization, models.quantization)
    )
    QUALIFY 1 = row_number() OVER (
        PARTITION BY device_id, model, quantization ORDER BY runs.started_at DESC, failure_id DESC
    )
),
tried AS (
    SELECT
        (
            trials.device_id, models.name, models.quantization, trials.engine,
            trials.settings::VARCHAR, trials.prompt_tokens, trials.output_tokens,
            trials.depth_tokens, trials.seed
        ) AS subject,
        loads.trial_id IS NOT NULL AS measured,
        plan.planned_at
    FROM trials
    JOIN models ON models.sha256 = trials.model_sha256
    LEFT JOIN plan USING (trial_id)
    LEFT JOIN loads USING (trial_id)
),
-- What cannot run, unless it was measured nevertheless or a later run plans it.
skipped AS (
    SELECT
        skips.run_id AS run,
        devices.name AS device,
        devices.kind AS device_kind,
        skips.engine,
        skips.model,
        skips.quantization,
        'skipped' AS status,
        8 * skips.weight_bytes / nullif(skips.n_weights, 0) AS file_bpw,
        skips.file_bytes,
        skips.prompt_tokens,
        skips.output_tokens,
        0 AS repeats,
        skips.device_id,
        skips.workload,
        skips.depth_tokens,
        skips.engine_version,
        skips.settings,
        TRY_CAST(skips.settings ->> 'threads' AS INTEGER) AS threads,
        0 AS rounds,
        runs.started_at AS run_started_at,
        skips.n_weights,
        skips.reason AS skip_reason
    FROM skips
    JOIN runs USING (run_id)
    LEFT JOIN devices USING (device_id)
    ANTI JOIN tried
        ON tried.subject = (
            skips.device_id, skips.model, skips.quantization, skips.engine, skips.settings::VARCHAR,
            skips.prompt_tokens, skips.output_tokens, skips.depth_tokens, skips.seed
        )
        AND (tried.measured OR tried.planned_at > runs.started_at)
    QUALIFY 1 = row_number() OVER (
        PARTITION BY
            device_id, model, quantization, engine, settings::VARCHAR,
            prompt_tokens, output_tokens, depth_tokens, skips.seed
        ORDER BY runs.started_at DESC
    )
)
SELECT *, 'odllm' AS origin FROM of_trials
UNION ALL BY NAME
SELECT *, 'odllm' AS origin FROM unprepared
UNION ALL BY NAME
SELECT *, 'odllm' AS origin FROM skipped
UNION ALL BY NAME
-- What this store knows of a trial itself counts more than what another told of it.
SELECT imported.* EXCLUDE (row_id) FROM imported ANTI JOIN trials USING (trial_id);
