-- All time stamps are UTC. There are no foreign keys: DuckDB checks them so eagerly that
-- updating a device's or model's description inside a transaction would be refused.

-- One row: what tells this file's results, kept on devices, from those of other files.
CREATE TABLE identity (
    store_id VARCHAR NOT NULL
);
INSERT INTO identity VALUES (uuid()::VARCHAR);

CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    status VARCHAR NOT NULL,           -- running, done, failed, interrupted, abandoned
    experiment VARCHAR NOT NULL,
    command VARCHAR NOT NULL,
    config_yaml VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    versions JSON NOT NULL,            -- of Python and of the controller's packages
    git_commit VARCHAR,
    origin VARCHAR NOT NULL            -- run, import
);

-- As last seen; how a device was in each run stands in run_devices.
CREATE TABLE devices (
    device_id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,             -- real, virtual, simulated
    system VARCHAR NOT NULL,
    cpu VARCHAR NOT NULL,
    physical_cores INTEGER NOT NULL,
    logical_cores INTEGER NOT NULL,
    ram_bytes BIGINT NOT NULL,
    python_version VARCHAR NOT NULL,
    odllm_version VARCHAR NOT NULL,
    engines JSON NOT NULL,             -- version by name
    meters JSON NOT NULL,              -- what each can read, or why not
    core_types JSON NOT NULL           -- cores of each type; empty where all are alike
);

CREATE TABLE run_devices (
    run_id VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    description JSON NOT NULL,         -- the whole device as it was in this run
    PRIMARY KEY (run_id, device_id)
);

CREATE TABLE models (
    sha256 VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    quantization VARCHAR NOT NULL,
    file_bytes BIGINT NOT NULL,
    weight_bytes BIGINT NOT NULL,
    n_weights BIGINT NOT NULL,
    architecture VARCHAR NOT NULL,
    context_tokens BIGINT NOT NULL,
    no_quality VARCHAR NOT NULL        -- why its quality cannot be told, or empty
);

CREATE TABLE trials (
    trial_id VARCHAR PRIMARY KEY,
    device_id VARCHAR NOT NULL,
    model_sha256 VARCHAR NOT NULL,
    model_path VARCHAR NOT NULL,       -- on the device
    engine VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    settings JSON NOT NULL,
    workload VARCHAR NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    depth_tokens BIGINT NOT NULL,
    seed BIGINT NOT NULL
);

CREATE TABLE planned (
    run_id VARCHAR NOT NULL,
    trial_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,         -- in the plan, from 0
    rounds INTEGER NOT NULL,
    rounds_at_most INTEGER NOT NULL,   -- rounds beyond `rounds` only while the interval is wider
    interval_target DOUBLE,            -- than this, as a fraction of the median decode speed
    PRIMARY KEY (run_id, trial_id)
);

-- What a run left out because it cannot run on the device. It may never have become a file, so the
-- row says itself what the file would have been.
CREATE TABLE skips (
    run_id VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    quantization VARCHAR NOT NULL,
    file_bytes BIGINT NOT NULL,
    weight_bytes BIGINT NOT NULL,
    n_weights BIGINT NOT NULL,
    engine VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    settings JSON NOT NULL,
    workload VARCHAR NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    depth_tokens BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    reason VARCHAR NOT NULL
);

-- Trials that a run left, because their device did not answer or because their like failed; see
-- `status` of the view results.
CREATE TABLE held (
    run_id VARCHAR NOT NULL,
    trial_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    PRIMARY KEY (run_id, trial_id)
);

CREATE SEQUENCE event_ids;

-- What happened in the fleet; rows are only ever added.
CREATE TABLE events (
    event_id BIGINT PRIMARY KEY DEFAULT nextval('event_ids'),
    happened_at TIMESTAMP NOT NULL,    -- by the clock of whoever saw it
    kind VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,           -- the run that wrote it down
    detail VARCHAR NOT NULL
);

CREATE SEQUENCE round_ids;

-- One row per worker process, so a round that failed and was tried again has several.
CREATE TABLE rounds (
    round_id BIGINT PRIMARY KEY,
    run_id VARCHAR NOT NULL,
    trial_id VARCHAR NOT NULL,
    round INTEGER NOT NULL,            -- from 0
    started_at TIMESTAMP NOT NULL,
    wall_s DOUBLE NOT NULL,
    load_s DOUBLE,
    runtime_bpw DOUBLE,
    system VARCHAR,                    -- processor features that the engine uses
    no_work VARCHAR,                   -- why the table work has nothing of the trial, or empty
    peak_rss_bytes BIGINT,
    stopped VARCHAR NOT NULL,          -- narrow, cap, failed
    interval_width DOUBLE,             -- of the decode speed, as a fraction of its median
    complete BOOLEAN NOT NULL,
    rss_bytes BIGINT,                  -- this and the next six: once the last repeat had ended
    mapped_bytes BIGINT,               -- of the model's files
    anonymous_bytes BIGINT,            -- what no file backs; weights, KV and buffers are in it
    swapped_bytes BIGINT,              -- of the worker
    loaded_bytes BIGINT,               -- weights in memory of the worker's own
    kv_bytes BIGINT,
    compute_bytes BIGINT,
    memory_reason VARCHAR NOT NULL,    -- why a part is not told
    waited_s DOUBLE NOT NULL,          -- for the device to cool down before
    available_before_bytes BIGINT,     -- of the device, before the worker was started
    available_after_bytes BIGINT,      -- once it had ended
    UNIQUE (trial_id, round, started_at)
);

CREATE TABLE repeats (
    round_id BIGINT NOT NULL,
    repeat INTEGER NOT NULL,           -- from 0, warm-ups included
    warmup BOOLEAN NOT NULL,
    started_at TIMESTAMP NOT NULL,
    prefill_s DOUBLE NOT NULL,
    ttft_s DOUBLE NOT NULL,
    flags VARCHAR[] NOT NULL,          -- what disturbed it
    wall_s DOUBLE,                     -- from the state before it to the state after it
    PRIMARY KEY (round_id, repeat)
);

-- No primary key: its index would be three times as large as the data, and the key of repeats
-- already keeps a repeat from coming twice.
CREATE TABLE token_times (
    round_id BIGINT NOT NULL,
    repeat INTEGER NOT NULL,
    position INTEGER NOT NULL,         -- of the token in the output, from 0
    token_s DOUBLE NOT NULL
);

-- Times of passes beyond the first, which only made a window long enough for a power meter.
CREATE TABLE further_passes (
    round_id BIGINT NOT NULL,
    repeat INTEGER NOT NULL,
    phase VARCHAR NOT NULL,            -- prefill, decode
    pass INTEGER NOT NULL,             -- from 1
    pass_s DOUBLE NOT NULL
);

-- Of whole windows; what one pass took is worked out in the views. No primary key, as a load belongs
-- to no repeat.
CREATE TABLE energy (
    round_id BIGINT NOT NULL,
    repeat INTEGER,                    -- NULL of the load
    phase VARCHAR NOT NULL,            -- load, prefill, decode
    domain VARCHAR NOT NULL,           -- package, core, uncore, dram, psys, gpu, battery, wall
    meter VARCHAR NOT NULL,
    method VARCHAR NOT NULL,           -- measured, estimated, unavailable
    energy_j DOUBLE,
    reason VARCHAR NOT NULL,           -- why there is no figure
    window_s DOUBLE,                   -- between the readings at the window's edges
    uncertainty_j DOUBLE,              -- how far off the figure may be
    passes INTEGER NOT NULL            -- how often the phase was gone through in the window
);

CREATE TABLE power_traces (
    round_id BIGINT NOT NULL,
    repeat INTEGER,                    -- NULL of the load
    phase VARCHAR NOT NULL,
    domain VARCHAR NOT NULL,
    meter VARCHAR NOT NULL,
    start_s DOUBLE NOT NULL,           -- since the start of the repeat or load
    end_s DOUBLE NOT NULL,
    power_w DOUBLE NOT NULL            -- mean between the two
);

-- Each device while nothing was measured on it, with the agent and Ray there.
CREATE TABLE baselines (
    run_id VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    round INTEGER NOT NULL,            -- that came next
    wall_s DOUBLE NOT NULL,
    own_cores DOUBLE,                  -- CPU seconds per second of the agent and Ray
    own_bytes BIGINT,                  -- memory that would be free without them
    busy_cores DOUBLE,                 -- CPU seconds per second of everything
    reason VARCHAR NOT NULL,           -- why something of it is missing
    PRIMARY KEY (run_id, device_id, started_at)
);

CREATE TABLE idle_energy (
    run_id VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,     -- of the baseline
    domain VARCHAR NOT NULL,
    meter VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    energy_j DOUBLE,
    reason VARCHAR NOT NULL,
    window_s DOUBLE,
    uncertainty_j DOUBLE,
    PRIMARY KEY (run_id, device_id, started_at, domain, meter)
);

CREATE TABLE device_states (
    round_id BIGINT NOT NULL,
    repeat INTEGER NOT NULL,
    moment VARCHAR NOT NULL,           -- before, after
    on_battery BOOLEAN,
    governor VARCHAR,
    frequency_hz DOUBLE,
    temperature_c DOUBLE,
    throttle_count BIGINT,
    available_bytes BIGINT NOT NULL,
    swapped_bytes BIGINT,
    busy_s DOUBLE NOT NULL,
    own_cpu_s DOUBLE NOT NULL,
    power_profile VARCHAR,
    energy_preference VARCHAR,
    battery_percent DOUBLE,
    top_frequency_hz DOUBLE,
    PRIMARY KEY (round_id, repeat, moment)
);

-- A row per score that a check was asked for, whether it gave one or not.
CREATE TABLE quality (
    check_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    model_sha256 VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    settings JSON NOT NULL,
    kind VARCHAR NOT NULL,             -- text, task
    subject VARCHAR NOT NULL,          -- the text's or task's name
    subject_sha256 VARCHAR NOT NULL,
    window_tokens BIGINT,              -- of a text
    most BIGINT,                       -- windows or questions that were asked for, if not all
    base_sha256 VARCHAR,               -- of the unquantized file that it was compared with
    metric VARCHAR NOT NULL,
    value DOUBLE,
    standard_error DOUBLE,
    n BIGINT NOT NULL,                 -- tokens or questions
    reason VARCHAR NOT NULL,           -- why there is no value
    complete BOOLEAN NOT NULL,         -- whether the check need not be tried again
    wall_s DOUBLE NOT NULL,            -- of the whole check
    PRIMARY KEY (check_id, run_id, metric)
);

-- What a trial has to read and compute at least, with weights or keys and values of one type: of
-- prefill for the whole prompt, of decode for the mean output token.
CREATE TABLE work (
    trial_id VARCHAR NOT NULL,
    phase VARCHAR NOT NULL,            -- prefill, decode
    type VARCHAR NOT NULL,             -- by the engine's name
    read_bytes DOUBLE NOT NULL,
    operations DOUBLE NOT NULL,        -- multiplications and additions
    PRIMARY KEY (trial_id, phase, type)
);

-- The most that a device does; of several runs the latest figure counts.
CREATE TABLE ceilings (
    device_id VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    threads INTEGER NOT NULL,
    name VARCHAR NOT NULL,             -- read, or the type of weights that are multiplied
    run_id VARCHAR NOT NULL,
    measured_at TIMESTAMP NOT NULL,
    per_s DOUBLE,                      -- bytes read, or operations
    method VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,           -- why there is no figure
    PRIMARY KEY (device_id, engine, engine_version, threads, name, run_id)
);

-- Trials whose summary is older than what it rests on.
CREATE TABLE stale (
    trial_id VARCHAR PRIMARY KEY
);

CREATE SEQUENCE failure_ids;

CREATE TABLE failures (
    failure_id BIGINT PRIMARY KEY DEFAULT nextval('failure_ids'),
    run_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,            -- prepare, measure, quality
    device_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    quantization VARCHAR,
    source VARCHAR,                    -- of a model that could not be prepared
    location VARCHAR,
    round_id BIGINT,                   -- of a round that failed
    check_id VARCHAR,                  -- of a quality check that failed
    kind VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    remedy VARCHAR NOT NULL,
    traceback VARCHAR NOT NULL,
    signal VARCHAR,
    log VARCHAR NOT NULL
);

-- What other tools or other stores found, a row each: the columns of the view `results` as they were
-- told. Of a row with samples, speeds are worked out anew from them whenever some are added.
CREATE TABLE imported (
    row_id VARCHAR PRIMARY KEY,        -- the trial's id, or a hash of what was told
    origin VARCHAR NOT NULL,           -- the tool with its version, and the file
    accuracy_reason VARCHAR, bound VARCHAR, ceiling_reason VARCHAR, device VARCHAR NOT NULL,
    device_id VARCHAR, device_kind VARCHAR, energy_method VARCHAR, energy_reason VARCHAR,
    engine VARCHAR, engine_version VARCHAR, failure VARCHAR, failure_kind VARCHAR, flags VARCHAR,
    hold_reason VARCHAR, interval_reason VARCHAR, kld_reason VARCHAR, load_j_reason VARCHAR,
    memory_reason VARCHAR, model VARCHAR NOT NULL, model_sha256 VARCHAR, net_reason VARCHAR,
    perplexity_reason VARCHAR, prefill_bound VARCHAR, quality_text VARCHAR, quantization VARCHAR,
    remedy VARCHAR, run VARCHAR, skip_reason VARCHAR, status VARCHAR NOT NULL, stopped VARCHAR,
    trial_id VARCHAR, workload VARCHAR,
    accuracy DOUBLE, accuracy_se DOUBLE, anonymous_bytes DOUBLE, compute_bytes DOUBLE,
    decode_compute_fraction DOUBLE, decode_j DOUBLE, decode_j_high DOUBLE, decode_j_low DOUBLE,
    decode_j_per_token DOUBLE, decode_j_per_token_high DOUBLE, decode_j_per_token_low DOUBLE,
    decode_j_per_token_mean DOUBLE, decode_j_per_token_uncertainty DOUBLE,
    decode_j_uncertainty DOUBLE, decode_net_j DOUBLE, decode_net_j_high DOUBLE,
    decode_net_j_low DOUBLE, decode_net_j_per_token DOUBLE, decode_net_j_per_token_high DOUBLE,
    decode_net_j_per_token_low DOUBLE, decode_peak_w DOUBLE, decode_peak_w_high DOUBLE,
    decode_peak_w_low DOUBLE, decode_read_bytes DOUBLE, decode_tok_s DOUBLE,
    decode_tok_s_high DOUBLE, decode_tok_s_low DOUBLE, decode_tok_s_mean DOUBLE, decode_w DOUBLE,
    decode_w_high DOUBLE, decode_w_low DOUBLE, delta_p DOUBLE, delta_p_rms DOUBLE,
    delta_p_rms_se DOUBLE, delta_p_se DOUBLE, file_bpw DOUBLE, idle_w DOUBLE, kld DOUBLE,
    kld_se DOUBLE, kv_bytes DOUBLE, load_j DOUBLE, load_j_uncertainty DOUBLE, load_net_j DOUBLE,
    load_peak_w DOUBLE, load_s DOUBLE, load_w DOUBLE, loaded_bytes DOUBLE, mapped_bytes DOUBLE,
    mbu DOUBLE, mbu_high DOUBLE, mbu_low DOUBLE, mean_w DOUBLE, mean_w_high DOUBLE,
    mean_w_low DOUBLE, others_cores DOUBLE, peak_rss_bytes DOUBLE, perplexity DOUBLE,
    perplexity_se DOUBLE, prefill_compute_fraction DOUBLE, prefill_compute_fraction_high DOUBLE,
    prefill_compute_fraction_low DOUBLE, prefill_j DOUBLE, prefill_j_high DOUBLE,
    prefill_j_low DOUBLE, prefill_j_per_token DOUBLE, prefill_j_per_token_high DOUBLE,
    prefill_j_per_token_low DOUBLE, prefill_j_per_token_uncertainty DOUBLE,
    prefill_j_uncertainty DOUBLE, prefill_net_j DOUBLE, prefill_net_j_high DOUBLE,
    prefill_net_j_low DOUBLE, prefill_peak_w DOUBLE, prefill_peak_w_high DOUBLE,
    prefill_peak_w_low DOUBLE, prefill_tok_s DOUBLE, prefill_tok_s_high DOUBLE,
    prefill_tok_s_low DOUBLE, prefill_tok_s_mean DOUBLE, prefill_w DOUBLE, prefill_w_high DOUBLE,
    prefill_w_low DOUBLE, runtime_bpw DOUBLE, top1_agreement DOUBLE, top1_agreement_se DOUBLE,
    tpot_s DOUBLE, tpot_s_high DOUBLE, tpot_s_low DOUBLE, tpot_s_mean DOUBLE, ttft_s DOUBLE,
    ttft_s_high DOUBLE, ttft_s_low DOUBLE, ttft_s_mean DOUBLE, waited_s DOUBLE,
    depth_tokens BIGINT, file_bytes BIGINT, flagged_repeats BIGINT, n_weights BIGINT,
    output_tokens BIGINT, prompt_tokens BIGINT, repeats BIGINT NOT NULL, rounds BIGINT NOT NULL,
    accuracies JSON, settings JSON,
    decode_passes INTEGER, planned_rounds INTEGER, prefill_passes INTEGER, rounds_at_most INTEGER,
    threads INTEGER,
    run_started_at TIMESTAMP
);

-- What llama-bench timed: a round is one start of it.
CREATE TABLE imported_samples (
    row_id VARCHAR NOT NULL,
    round VARCHAR NOT NULL,            -- a hash of what that start told
    repeat INTEGER NOT NULL,           -- from 0
    window_s DOUBLE NOT NULL,          -- of all tokens of the prompt, or of the output
    started_at TIMESTAMP,
    PRIMARY KEY (row_id, round, repeat)
);
