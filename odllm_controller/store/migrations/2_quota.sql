-- What a device's system keeps from a process: NULL where it was not told, or there is no quota.
ALTER TABLE devices ADD COLUMN quota_cores DOUBLE;      -- processor time per second, in seconds
ALTER TABLE devices ADD COLUMN online_cpus INTEGER;     -- hardware threads that are switched on
ALTER TABLE devices ADD COLUMN present_cpus INTEGER;    -- and those that are off among them

-- Periods in which a quota was used up, since the control group was made.
ALTER TABLE device_states ADD COLUMN quota_throttle_count BIGINT;
