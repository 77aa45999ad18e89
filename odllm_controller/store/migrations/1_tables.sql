-- All time stamps are UTC. There are no foreign keys: DuckDB checks them so eagerly that
-- updating a device's or model's description inside a transaction would be refused.

CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    status VARCHAR NOT NULL,           -- running, done, failed, interrupted
    experiment VARCHAR NOT NULL,
    command VARCHAR NOT NULL,
    config_yaml VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    versions JSON NOT NULL,            -- of Python and of the controller's packages
    git_commit VARCHAR
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
    meters JSON NOT NULL               -- what each can read, or why not
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
    peak_rss_bytes BIGINT,
    anonymous_bytes BIGINT,
    stopped VARCHAR NOT NULL,          -- narrow, cap, failed
    interval_width DOUBLE,             -- of the decode speed, as a fraction of its median
    complete BOOLEAN NOT NULL,
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

CREATE TABLE energy (
    round_id BIGINT NOT NULL,
    repeat INTEGER NOT NULL,
    phase VARCHAR NOT NULL,            -- prefill, decode
    domain VARCHAR NOT NULL,           -- package, core, uncore, dram, psys, gpu, battery, wall
    meter VARCHAR NOT NULL,
    method VARCHAR NOT NULL,           -- measured, estimated, unavailable
    energy_j DOUBLE,
    reason VARCHAR NOT NULL,           -- why there is no figure
    PRIMARY KEY (round_id, repeat, phase, domain, meter)
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

-- Which two of n sorted values enclose their median with 95 % confidence; no row below 6 values.
CREATE TABLE median_ranks (
    n INTEGER PRIMARY KEY,
    low_rank INTEGER NOT NULL,
    high_rank INTEGER NOT NULL
);
