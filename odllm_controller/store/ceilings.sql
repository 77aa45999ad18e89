-- Of each ceiling the latest that has a figure, or else the latest reason for none.
CREATE VIEW latest_ceilings AS
SELECT * FROM ceilings
QUALIFY 1 = row_number() OVER (
    PARTITION BY device_id, engine, engine_version, engine_build, threads, name
    ORDER BY per_s IS NOT NULL DESC, measured_at DESC
);

-- A row per trial and phase, of a prompt or of the mean output token: what it has to do, and how long
-- reading and computing would take at the device's ceilings.
CREATE MACRO floors_of(trial_ids) AS TABLE
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
SEMI JOIN (SELECT unnest(trial_ids) AS trial_id) AS wanted USING (trial_id)
JOIN trials USING (trial_id)
LEFT JOIN latest_ceilings AS reading
    ON reading.device_id = trials.device_id
    AND reading.engine = trials.engine
    AND reading.engine_version = trials.engine_version
    AND reading.engine_build = trials.engine_build
    AND reading.threads = TRY_CAST(trials.settings ->> 'threads' AS INTEGER)
    AND reading.name = 'read'
LEFT JOIN latest_ceilings AS multiplying
    ON multiplying.device_id = trials.device_id
    AND multiplying.engine = trials.engine
    AND multiplying.engine_version = trials.engine_version
    AND multiplying.engine_build = trials.engine_build
    AND multiplying.threads = TRY_CAST(trials.settings ->> 'threads' AS INTEGER)
    AND multiplying.name = work.type
GROUP BY work.trial_id, work.phase;
