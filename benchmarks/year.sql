-- A year of results by formula: every trial runs once in each round of one run, runs go through all
-- devices in turn, and half of the devices have a power meter. Figures scatter by a hash of their
-- place, so that the same size gives the same store.

CREATE TEMP MACRO chance(a, b) AS hash(a, b) / 18446744073709551616.0;
CREATE TEMP MACRO scatter(a, b, width) AS 1 + width * (chance(a, b) - 0.5);
CREATE TEMP MACRO moment(seconds) AS TIMESTAMP '2026-01-01' + to_seconds(seconds::BIGINT);

CREATE TEMP TABLE kinds AS SELECT * FROM (
    VALUES (0, 'F16', 16.0), (1, 'Q8_0', 8.5), (2, 'Q5_K_M', 5.7), (3, 'Q5_0', 5.5),
        (4, 'Q4_K_M', 4.9), (5, 'Q4_0', 4.5), (6, 'Q3_K_M', 3.9), (7, 'Q2_K', 3.0)
) AS kinds (kind, quantization, bpw);
CREATE TEMP TABLE families AS SELECT * FROM (
    VALUES (0, 'qwen2.5-0.5B', 494e6), (1, 'qwen2.5-1.5B', 1544e6), (2, 'qwen2.5-3B', 3086e6),
        (3, 'qwen2.5-7B', 7616e6), (4, 'qwen2.5-14B', 14770e6)
) AS families (family, model, weights);
CREATE TEMP TABLE ways AS SELECT * FROM (
    VALUES (0, 'llama_cpp', 4, 'chat', 128, 16), (1, 'llama_cpp', 8, 'chat', 128, 16),
        (2, 'llama_cpp', 4, 'long', 1024, 16), (3, 'openvino', 4, 'chat', 128, 16),
        (4, 'openvino', 4, 'long', 1024, 16)
) AS ways (way, engine, n_threads, name, prompt, output);

-- A row per trial: its place on its device says what is measured, and in which run.
CREATE TEMP TABLE places AS
SELECT
    places.*,
    place // 20 AS run,
    'year-' || run AS run_id,
    sha256('device' || device) AS device_id,
    device % 2 = 0 AS metered,
    40e9 * scatter(device, 'bandwidth', 1.0) AS bandwidth,
    sha256(model || quantization) AS sha256,
    weights * bpw / 8 AS weight_bytes,
    families.*, kinds.*, ways.*
FROM (
    SELECT
        sha256(n::VARCHAR) AS trial_id,
        n % getvariable('devices') AS device,
        n // getvariable('devices') AS place
    FROM range(getvariable('trials')) AS numbers (n)
) AS places
JOIN kinds ON kind = place % 8
JOIN families ON family = place // 8 % 5
JOIN ways ON way = place // 40 % 5;

CREATE TEMP TABLE starts AS
SELECT
    row_number() OVER (ORDER BY run, round, place, device) AS round_id,
    row_number() OVER (PARTITION BY device ORDER BY run, round, place) * 40 AS start_s,
    round, places.*
FROM places CROSS JOIN range(getvariable('rounds')) AS numbers (round);

CREATE TEMP TABLE tries AS
SELECT repeat, start_s + 5 + 5 * repeat AS repeat_s, starts.*
FROM starts CROSS JOIN range(getvariable('repeats') + 1) AS numbers (repeat);

INSERT INTO runs
SELECT DISTINCT
    run_id, moment(run * 864000), moment(run * 864000 + 80000), 'done', 'year', 'odllm run', '', 1,
    '{}', NULL, 'run'
FROM places;
INSERT INTO devices BY NAME
SELECT DISTINCT
    device_id, 'laptop-' || device AS name, 'real' AS kind, 'Linux 6.1' AS system,
    'Example 9000' AS cpu, 8 AS physical_cores, 16 AS logical_cores, 17179869184 AS ram_bytes,
    '3.11.7' AS python_version, '0.1.0' AS odllm_version, '{}' AS engines, '[]' AS meters,
    '{}' AS core_types
FROM places;
INSERT INTO run_devices SELECT DISTINCT run_id, device_id, '{}' FROM places;
INSERT INTO models
SELECT DISTINCT
    sha256, model, quantization, weight_bytes + 6000000, weight_bytes, weights, 'qwen2', 32768, ''
FROM places;
INSERT INTO trials
SELECT
    trial_id, device_id, sha256, '/models/' || sha256, engine, '0.3.36',
    json_object('threads', n_threads, 'n_batch', 2048, 'flash_attention', true),
    name, prompt, output, 0, 1
FROM places;
INSERT INTO planned
SELECT run_id, trial_id, place, getvariable('rounds'), getvariable('rounds'), NULL FROM places;
INSERT INTO rounds BY NAME
SELECT
    round_id, run_id, trial_id, round, moment(start_s) AS started_at, 36.0 AS wall_s,
    weight_bytes / 2e9 * scatter(round_id, 'load', 0.1) AS load_s,
    bpw AS runtime_bpw, 'AVX2 = 1' AS system, '' AS no_work, 'cap' AS stopped, true AS complete,
    weight_bytes + 3e8 * scatter(round_id, 'peak', 0.1) AS peak_rss_bytes,
    weight_bytes + 2e8 AS rss_bytes, weight_bytes AS mapped_bytes, 2e8 AS anonymous_bytes,
    0 AS swapped_bytes, 4e6 AS loaded_bytes, 3e6 AS kv_bytes, 2e6 AS compute_bytes,
    '' AS memory_reason, 0.0 AS waited_s, 8e9 AS available_before_bytes,
    8e9 AS available_after_bytes
FROM starts ORDER BY round_id;
INSERT INTO repeats
SELECT
    round_id, repeat, repeat = 0, moment(repeat_s),
    prompt * weights * 2 / 4e11 * scatter(round_id, repeat, 0.1),
    prompt * weights * 2 / 4e11 * scatter(round_id, repeat, 0.1) * 1.01,
    if(chance(round_id, repeat * 7) < 0.02, ['busy'], []), 4.0
FROM tries ORDER BY round_id, repeat;
INSERT INTO token_times
SELECT
    round_id, repeat, position,
    weight_bytes / bandwidth * scatter(round_id, 'round', 0.04)
        * scatter(round_id * 64 + repeat, position, 0.1)
FROM tries CROSS JOIN range(getvariable('tokens')) AS numbers (position)
ORDER BY round_id, repeat, position;
INSERT INTO energy
SELECT
    round_id, repeat, phase, 'package', 'rapl', if(metered, 'measured', 'unavailable'),
    if(metered, window_s * watts * scatter(round_id, repeat, 0.1), NULL),
    if(metered, '', 'no powercap here'), window_s, 0.01 * window_s, 1
FROM tries
CROSS JOIN (VALUES ('prefill', 1.0, 30.0), ('decode', 2.0, 20.0)) AS phases (phase, window_s, watts)
ORDER BY round_id, repeat;
INSERT INTO energy
SELECT
    round_id, NULL, 'load', 'package', 'rapl', if(metered, 'measured', 'unavailable'),
    if(metered, 12 * scatter(round_id, 'joules', 0.1), NULL),
    if(metered, '', 'no powercap here'), 1.0, 0.1, 1
FROM starts ORDER BY round_id;
INSERT INTO power_traces
SELECT
    round_id, repeat, if(sample = 0, 'prefill', 'decode'), 'package', 'rapl', sample, sample + 1,
    if(sample = 0, 30, 20) * scatter(round_id, repeat * 7 + sample, 0.2)
FROM tries CROSS JOIN range(3) AS numbers (sample)
WHERE metered ORDER BY round_id, repeat;
INSERT INTO device_states BY NAME
SELECT
    round_id, repeat, moment, false AS on_battery, 'performance' AS governor, 3e9 AS frequency_hz,
    50.0 AS temperature_c, 0 AS throttle_count, 8e9 AS available_bytes, 0 AS swapped_bytes,
    100 + if(moment = 'after', 4 + chance(round_id, repeat), 0) AS busy_s,
    100 + if(moment = 'after', 4, 0) AS own_cpu_s
FROM tries CROSS JOIN (VALUES ('before'), ('after')) AS moments (moment)
ORDER BY round_id, repeat;
INSERT INTO baselines
SELECT DISTINCT run_id, device_id, min(moment(start_s - 10)) OVER same, 0, 5.0, 0.04, 2e8, 0.1, ''
FROM starts WINDOW same AS (PARTITION BY run_id, device_id);
INSERT INTO idle_energy
SELECT run_id, device_id, started_at, 'package', 'rapl', 'measured', 20.0, '', 5.0, 0.1
FROM baselines SEMI JOIN (FROM places WHERE metered) AS metered USING (device_id);
INSERT INTO work
SELECT trial_id, phase, quantization, read_bytes, operations
FROM places CROSS JOIN LATERAL (
    VALUES ('decode', weight_bytes, 2 * weights), ('prefill', weight_bytes, 2 * weights * prompt)
) AS phases (phase, read_bytes, operations);
INSERT INTO ceilings
SELECT DISTINCT
    device_id, engine, '0.3.36', n_threads, ceiling, 'year-0', moment(1), per_s, 'by formula', ''
FROM places CROSS JOIN LATERAL (
    VALUES ('read', bandwidth * 1.2), (quantization, 5e11)
) AS ceilings (ceiling, per_s);
INSERT INTO quality BY NAME
SELECT
    sha256(device_id || sha256 || engine || metric) AS check_id, any_value(run_id) AS run_id,
    device_id, sha256 AS model_sha256, engine, '0.3.36' AS engine_version, '{}' AS settings,
    'text' AS kind, 'reference' AS subject, 'r' AS subject_sha256, 256 AS window_tokens, metric,
    any_value(value) AS value, any_value(value) / 100 AS standard_error, 10000 AS n, '' AS reason,
    true AS complete, 1.0 AS wall_s
FROM places CROSS JOIN LATERAL (
    VALUES ('perplexity', (8 - log10(weights) / 3) * (1 + exp(-bpw))), ('kld', exp(-bpw))
) AS scores (metric, value)
GROUP BY device_id, sha256, engine, metric;
SELECT max(nextval('round_ids')) FROM range((SELECT count(*) FROM starts));

-- What summaries are worked out from, but for the ends of intervals: a bootstrap of so many would
-- take minutes.
CREATE TEMP TABLE fresh_trials AS SELECT trial_id FROM places;
CREATE TEMP TABLE fresh_rates AS FROM rates_of((SELECT list(trial_id) FROM places));
CREATE TEMP TABLE fresh_ends AS
SELECT trial_id, metric, 0.97 * median(value) AS low, 1.03 * median(value) AS high, '' AS reason
FROM (
    UNPIVOT fresh_rates
    ON ttft_s, prefill_tok_s, decode_tok_s, tpot_s, prefill_j, decode_j, decode_j_per_token,
        prefill_w, decode_w, mean_w, prefill_j_per_token, prefill_peak_w, decode_peak_w,
        prefill_net_j, decode_net_j, decode_net_j_per_token
    INTO NAME metric VALUE value
)
GROUP BY trial_id, metric;
