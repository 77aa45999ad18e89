-- What explains more than half of the time, and clearly more of it than the other.
CREATE MACRO bound_by(traffic_share, compute_share) AS CASE
    WHEN traffic_share IS NULL OR compute_share IS NULL THEN NULL
    WHEN traffic_share >= greatest(0.5, 1.25 * compute_share) THEN 'traffic'
    WHEN compute_share >= greatest(0.5, 1.25 * traffic_share) THEN 'compute'
    ELSE 'undecided'
END;

-- As `odllm_agent.contract.bpw` has it.
CREATE MACRO bits_per_weight(n_bytes, n_weights) AS 8 * n_bytes / nullif(n_weights, 0);

-- Why so many tokens of context are more than a model was made for, or NULL.
CREATE MACRO beyond_context(tokens, made_for) AS CASE
    WHEN tokens > made_for
        THEN format('{:,} tokens of context, and the model was made for {:,}', tokens, made_for)
END;

-- A row per trial and phase: its floors and how long it took. A share is the part of the time that the
-- ceiling explains; bytes that come from a cache can make it more than 1.
CREATE VIEW shares AS
WITH timed AS (
    SELECT
        trial_id, 'decode' AS phase, decode_floor.*,
        tpot_s AS window_s, tpot_s_low AS window_s_low, tpot_s_high AS window_s_high
    FROM summaries
    WHERE decode_floor IS NOT NULL AND tpot_s IS NOT NULL
    UNION ALL
    SELECT
        trial_id, 'prefill', prefill_floor.*,
        prompt_tokens / prefill_tok_s, prompt_tokens / prefill_tok_s_high,
        prompt_tokens / prefill_tok_s_low
    FROM summaries
    JOIN trials USING (trial_id)
    WHERE prefill_floor IS NOT NULL AND prefill_tok_s IS NOT NULL
)
SELECT
    *,
    traffic_s / window_s AS traffic_share,
    compute_s / window_s AS compute_share,
    bound_by(traffic_share, compute_share) AS bound
FROM timed;

-- The public view: a row per trial, one per trial that cannot run, one per model that could not be
-- prepared, and what was imported as figures.
CREATE VIEW results AS
WITH plan AS (
    SELECT
        trial_id,
        arg_max(rounds, (runs.started_at, run_id)) AS planned_rounds,
        arg_max(rounds_at_most, (runs.started_at, run_id)) AS rounds_at_most,
        arg_max_null(interval_target, (runs.started_at, run_id)) AS interval_target,
        arg_max(run_id, runs.started_at) AS run,
        max(runs.started_at) AS planned_at
    FROM planned
    JOIN runs USING (run_id)
    GROUP BY trial_id
),
attempts AS (
    SELECT
        trial_id, round,
        bool_or(complete) AS complete,
        arg_max(round_id, started_at) AS last_round_id,
        max(started_at) AS last_started_at
    FROM rounds
    GROUP BY trial_id, round
),
-- Rounds beyond what is planned count for nothing but the run that measured the trial last.
progress AS (
    SELECT
        trial_id,
        arg_max(last_round_id, last_started_at) AS last_round_id,
        count(*) FILTER (wanted) AS attempted,
        count(*) FILTER (wanted AND complete) AS rounds,
        max(round) FILTER (wanted AND complete) + 1 AS rounds_reached,
        max(last_round_id) FILTER (wanted AND NOT complete) AS failed_round_id
    FROM attempts
    LEFT JOIN plan USING (trial_id)
    CROSS JOIN LATERAL (SELECT round < coalesce(rounds_at_most, round + 1) AS wanted)
    GROUP BY trial_id
),
-- Trials that a run left, unless a later run plans them.
holds AS (
    SELECT trial_id, arg_max(reason, runs.started_at) AS reason
    FROM held
    JOIN runs USING (run_id)
    LEFT JOIN plan USING (trial_id)
    WHERE runs.started_at >= coalesce(planned_at, runs.started_at)
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
    LEFT JOIN summaries USING (trial_id)
),
ceiled AS (
    SELECT
        trial_id,
        decode_floor.read_bytes AS decode_read_bytes,
        decode_floor.traffic_s / tpot_s AS mbu,
        decode_floor.traffic_s / tpot_s_high AS mbu_low,
        decode_floor.traffic_s / tpot_s_low AS mbu_high,
        decode_floor.compute_s / tpot_s AS decode_compute_fraction,
        bound_by(mbu, decode_compute_fraction) AS bound,
        prefill_floor.compute_s * prefill_tok_s / prompt_tokens AS prefill_compute_fraction,
        prefill_floor.compute_s * prefill_tok_s_low / prompt_tokens AS prefill_compute_fraction_low,
        prefill_floor.compute_s * prefill_tok_s_high / prompt_tokens
            AS prefill_compute_fraction_high,
        bound_by(
            prefill_floor.traffic_s * prefill_tok_s / prompt_tokens, prefill_compute_fraction
        ) AS prefill_bound,
        greatest(
            CASE WHEN bound IS NULL AND tpot_s IS NOT NULL THEN decode_floor.missing END,
            CASE
                WHEN prefill_bound IS NULL AND prefill_tok_s IS NOT NULL THEN prefill_floor.missing
            END
        ) AS missing
    FROM summaries
    JOIN trials USING (trial_id)
),
-- Quality hangs on the file and the engine's build, not on how fast the engine was made to run. Of all
-- checks on a text the latest counts that gave anything, and so of all on the same task: figures
-- of different texts are never mixed.
checks AS (
    SELECT
        check_id, run_id, device_id, model_sha256, engine, engine_build, kind, subject,
        row_number() OVER (
            PARTITION BY device_id, model_sha256, engine, engine_build, kind, if(kind = 'task', subject, '')
            ORDER BY count(value) > 0 DESC, max(started_at) DESC, check_id
        ) AS place
    FROM quality
    JOIN runs USING (run_id)
    GROUP BY check_id, run_id, device_id, model_sha256, engine, engine_build, kind, subject
),
scores AS (
    SELECT quality.*
    FROM quality
    SEMI JOIN (FROM checks WHERE place = 1) AS latest USING (check_id, run_id)
),
text_quality AS (
    SELECT
        device_id, model_sha256, engine, engine_build,
        any_value(subject) AS quality_text,
        any_value(window_tokens) AS window_tokens,
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
    GROUP BY device_id, model_sha256, engine, engine_build
),
-- A mean over tasks is told only where every one of them has a figure.
task_quality AS (
    SELECT
        device_id, model_sha256, engine, engine_build,
        CASE WHEN count(value) = count(*) THEN avg(value) END AS accuracy,
        CASE WHEN count(value) = count(*) THEN sqrt(sum(standard_error ** 2)) / count(*) END
            AS accuracy_se,
        max(nullif(reason, '')) AS accuracy_reason,
        json_group_object(subject, value) AS accuracies
    FROM scores
    WHERE kind = 'task' AND metric = 'accuracy'
    GROUP BY device_id, model_sha256, engine, engine_build
),
last_failures AS (
    SELECT round_id, kind, message, remedy FROM failures WHERE stage = 'measure'
),
-- Files of a device are called by what their headers say, and two may say the same.
names AS (
    SELECT
        sha256,
        CASE
            WHEN source = 'file' AND 1 < count(*) OVER (PARTITION BY name, quantization)
            THEN name || ' ' || left(sha256, 6)
            ELSE name
        END AS model
    FROM models
),
of_trials AS (
    SELECT
        coalesce(last.run_id, plan.run) AS run,
        devices.name AS device,
        devices.kind AS device_kind,
        trials.engine,
        names.model,
        models.quantization,
        CASE
            WHEN coalesce(attempted, 0) = 0 AND holds.trial_id IS NOT NULL THEN 'held'
            WHEN coalesce(attempted, 0) = 0 THEN 'planned'
            WHEN progress.failed_round_id IS NOT NULL THEN 'failed'
            WHEN stops.stopped IS NOT NULL THEN 'done'
            WHEN holds.trial_id IS NOT NULL THEN 'held'
            ELSE 'partial'
        END AS status,
        bits_per_weight(models.weight_bytes, models.n_weights) AS file_bpw,
        models.file_bytes,
        trials.prompt_tokens,
        trials.output_tokens,
        coalesce(summaries.repeats, 0) AS repeats,
        summaries.* EXCLUDE (trial_id, repeats, no_work, prefill_floor, decode_floor),
        ceiled.mbu,
        text_quality.perplexity,
        text_quality.kld,
        last_failures.message AS failure,
        trials.trial_id,
        trials.device_id,
        trials.model_sha256,
        trials.workload,
        trials.depth_tokens,
        trials.seed,
        trials.engine_version,
        nullif(trials.engine_build, '') AS engine_build,
        trials.settings,
        TRY_CAST(trials.settings ->> 'threads' AS INTEGER) AS threads,
        coalesce(progress.rounds, 0) AS rounds,
        plan.planned_rounds,
        plan.rounds_at_most,
        stops.stopped,
        CASE
            WHEN summaries.decode_net_j IS NOT NULL THEN NULL
            WHEN summaries.decode_j IS NULL THEN summaries.energy_reason
            WHEN summaries.idle_w IS NULL THEN 'no idle power was measured before it'
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
        coalesce(summaries.no_work, ceiled.missing) AS ceiling_reason,
        CASE WHEN stops.stopped IS NULL THEN holds.reason END AS hold_reason,
        models.context_tokens AS model_context_tokens,
        beyond_context(
            trials.prompt_tokens + trials.output_tokens + trials.depth_tokens,
            models.context_tokens
        ) AS context_reason,
        beyond_context(text_quality.window_tokens, models.context_tokens)
            AS quality_context_reason,
        nullif(array_to_string(from_json(models.remarks, '["VARCHAR"]'), '; '), '')
            AS model_remarks
    FROM trials
    JOIN models ON models.sha256 = trials.model_sha256
    JOIN names ON names.sha256 = trials.model_sha256
    LEFT JOIN devices USING (device_id)
    LEFT JOIN plan USING (trial_id)
    LEFT JOIN progress USING (trial_id)
    LEFT JOIN rounds AS last ON last.round_id = progress.last_round_id
    LEFT JOIN runs ON runs.run_id = coalesce(last.run_id, plan.run)
    LEFT JOIN stops USING (trial_id)
    LEFT JOIN holds USING (trial_id)
    LEFT JOIN summaries USING (trial_id)
    LEFT JOIN ceiled USING (trial_id)
    LEFT JOIN text_quality USING (device_id, model_sha256, engine, engine_build)
    LEFT JOIN task_quality USING (device_id, model_sha256, engine, engine_build)
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
        summaries.trial_id IS NOT NULL AS measured,
        plan.planned_at
    FROM trials
    JOIN models ON models.sha256 = trials.model_sha256
    LEFT JOIN plan USING (trial_id)
    LEFT JOIN summaries USING (trial_id)
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
        bits_per_weight(skips.weight_bytes, skips.n_weights) AS file_bpw,
        skips.file_bytes,
        skips.prompt_tokens,
        skips.output_tokens,
        0 AS repeats,
        skips.device_id,
        skips.workload,
        skips.depth_tokens,
        skips.seed,
        skips.engine_version,
        nullif(skips.engine_build, '') AS engine_build,
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
