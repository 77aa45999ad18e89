-- How each engine was built. Rows of before have an empty build, which is told as unknown.
ALTER TABLE trials ADD COLUMN engine_build VARCHAR DEFAULT '';
ALTER TABLE skips ADD COLUMN engine_build VARCHAR DEFAULT '';
ALTER TABLE quality ADD COLUMN engine_build VARCHAR DEFAULT '';
ALTER TABLE ceilings ADD COLUMN engine_build VARCHAR DEFAULT '';
ALTER TABLE imported ADD COLUMN engine_build VARCHAR;

CREATE TABLE builds (
    build_id VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    system VARCHAR NOT NULL,           -- what the engine says of itself
    compiler VARCHAR NOT NULL,         -- as its libraries say, or empty
    flags VARCHAR NOT NULL,            -- likewise
    sha256 VARCHAR NOT NULL,           -- of its libraries
    PRIMARY KEY (build_id, engine)
);

-- What came of trying a build on a device, of the latest run that told of it.
CREATE TABLE build_tests (
    device_id VARCHAR NOT NULL,
    build_id VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    type VARCHAR NOT NULL,             -- of weights, by ggml's name
    path VARCHAR NOT NULL,             -- the code path
    outcome VARCHAR NOT NULL,          -- right, wrong, crashed, refused
    detail VARCHAR NOT NULL,
    PRIMARY KEY (device_id, build_id, engine, type, path)
);
