"""The schema's version: from nothing, from an older one, and never backwards."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from odllm_agent.contract import Outcome, PathTest
from odllm_agent.errors import StoreError
from odllm_controller.store import Store, database, read, schema
from odllm_controller.store.scripts import script
from tests import stores, support

NEWEST = len(schema.MIGRATIONS)


def _colour(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("ALTER TABLE devices ADD COLUMN colour VARCHAR")


def _broken(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("ALTER TABLE devices ADD COLUMN shape VARCHAR")
    connection.execute("ALTER TABLE no_such_table ADD COLUMN shape VARCHAR")


_ROWS_OF_VERSION_1 = """
CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL);
INSERT INTO schema_versions VALUES (1, TIMESTAMP '2026-11-01');
INSERT INTO devices VALUES
    ('id', 'laptop', 'real', 'Linux 6.1', 'Example', 8, 16, 1, '3.11', '0.1.0', '{}', '[]', '{}');
INSERT INTO models BY NAME
    SELECT 'sha' AS sha256, 'm' AS name, 'Q4_0' AS quantization, 1 AS file_bytes,
        1 AS weight_bytes, 2 AS n_weights, 'qwen2' AS architecture, 1 AS context_tokens,
        '' AS no_quality;
INSERT INTO trials BY NAME
    SELECT 'trial' AS trial_id, 'id' AS device_id, 'sha' AS model_sha256, '' AS model_path,
        'llama_cpp' AS engine, '0.3.36' AS engine_version, '{"threads": 2}' AS settings,
        'short' AS workload, 1 AS prompt_tokens, 1 AS output_tokens, 0 AS depth_tokens, 0 AS seed;
INSERT INTO device_states BY NAME
    SELECT 1 AS round_id, 0 AS repeat, 'before' AS moment, 3 AS throttle_count,
        1 AS available_bytes, 1.0 AS busy_s, 1.0 AS own_cpu_s;
"""


def set_version(path: Path, version: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "UPDATE schema_versions SET version = ?"
            " WHERE version = (SELECT max(version) FROM schema_versions)",
            [version],
        )


def versions(path: Path) -> list[int]:
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT version FROM schema_versions ORDER BY version").fetchall()
    return [version for (version,) in rows]


def test_a_new_file_has_the_newest_version(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "odllm.duckdb")
    assert versions(store.path) == list(range(1, NEWEST + 1))


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    store = stores.begun(path)
    set_version(path, NEWEST + 6)
    for attempt in (lambda: Store.open(path), lambda: read(path, "SELECT 1")):
        with pytest.raises(StoreError) as refused:
            attempt()
        assert f"version {NEWEST + 6}, newer than this ODLLM's {NEWEST}" in refused.value.message
        assert "Update ODLLM" in refused.value.remedy
    assert versions(store.path) == [*range(1, NEWEST), NEWEST + 6]


def test_an_older_file_is_brought_forward_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    with database.writing(path) as connection:
        schema.migrate(connection, path, (*schema.MIGRATIONS, _colour))
    assert versions(path) == [*range(1, NEWEST + 1), NEWEST + 1]
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT name, colour FROM devices").fetchall()
        results = connection.execute("SELECT decode_tok_s FROM results").fetchall()
    assert rows == [("laptop", None)]
    assert results == [(pytest.approx(100.0),)]


def test_a_file_from_before_quotas_keeps_its_rows_and_takes_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    with database.writing(path) as connection:
        connection.execute(script("migrations/1_tables.sql"))
        connection.execute(_ROWS_OF_VERSION_1)
    assert versions(path) == [1]
    store = Store.open(path)
    assert versions(path) == list(range(1, NEWEST + 1))
    store.add_run(stores.run())
    limited = support.device("new", quota_cores=1.5, online_cpus=4, present_cpus=8)
    store.add_device("run-1", limited)
    told = read(path, "SELECT quota_cores, online_cpus, present_cpus FROM devices ORDER BY name")
    assert told.iloc[0].isna().all()
    assert told.iloc[1].tolist() == [1.5, 4, 8]
    states = read(path, "SELECT throttle_count, quota_throttle_count FROM device_states")
    assert states["throttle_count"].tolist() == [3]
    assert states["quota_throttle_count"].isna().all()


def test_rows_of_before_builds_were_told_are_of_an_unknown_build(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(script("migrations/1_tables.sql"))
        connection.execute(_ROWS_OF_VERSION_1)
    store = Store.open(path)
    store.add_run(stores.run())
    build = support.build("AVX2 = 1", PathTest("Q4_0", "plain", Outcome.RIGHT))
    store.add_device("run-1", support.device("new", builds={"llama_cpp": build}))
    new = replace(support.trial(), engine=replace(support.engine(), build=build.id))
    store.add_plan("run-1", [new], 1)
    found = read(path, "SELECT trial_id, engine_build FROM results ORDER BY model")
    assert found["trial_id"].tolist() == ["trial", new.id]
    assert found["engine_build"].isna().tolist() == [True, False]
    assert read(path, "SELECT build_id, sha256 FROM builds").iloc[0].tolist() == [
        build.id,
        build.sha256,
    ]
    assert read(path, "SELECT outcome FROM build_tests")["outcome"].tolist() == ["right"]


def test_views_are_made_anew_after_a_migration(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())

    def _seconds_by_another_name(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("ALTER TABLE rounds DROP COLUMN anonymous_bytes")
        connection.execute("ALTER TABLE rounds ADD COLUMN anonymous_bytes BIGINT DEFAULT 7")

    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE OR REPLACE VIEW results AS SELECT 1 AS stale")
        connection.execute("CREATE VIEW of_an_older_version AS SELECT peak_rss_bytes FROM rounds")
    with database.writing(path) as connection:
        schema.migrate(connection, path, (*schema.MIGRATIONS, _seconds_by_another_name))
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("SELECT status, anonymous_bytes FROM results").fetchall()
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
        names = {name for (name,) in views.fetchall()}
    assert found == [("done", 7)]
    assert names == {
        "idle_power",
        "latest_ceilings",
        "rates",
        "results",
        "shares",
    }


def test_figures_that_other_code_worked_out_are_worked_out_anew(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE summaries SET decode_tok_s = 7")
        connection.execute("ALTER TABLE imported DROP COLUMN mean_w")
        connection.execute("UPDATE derivation SET code = 'of another version'")
    with pytest.raises(StoreError) as refused:
        read(path, "SELECT decode_tok_s FROM results")
    assert "worked out by another version" in refused.value.message
    assert versions(path) == list(range(1, NEWEST + 1))
    store = Store.open(path)
    found = read(path, "SELECT decode_tok_s FROM results")
    assert found["decode_tok_s"].tolist() == [pytest.approx(100.0)]
    assert "mean_w" in store.imported_types()


def test_a_file_that_nothing_has_changed_in_is_not_worked_out_anew(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE summaries SET decode_tok_s = 7")
    Store.open(path)
    assert read(path, "SELECT decode_tok_s FROM results")["decode_tok_s"].tolist() == [7]


def test_reading_an_older_file_asks_for_an_update(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.begun(path)
    with (
        duckdb.connect(str(path), read_only=True) as connection,
        pytest.raises(StoreError) as refused,
    ):
        schema.check_current(connection, path, newest=NEWEST + 1)
    assert f"version {NEWEST}, older than this ODLLM's {NEWEST + 1}" in refused.value.message


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.begun(path)
    with pytest.raises(duckdb.CatalogException), database.writing(path) as connection:
        schema.migrate(connection, path, (*schema.MIGRATIONS, _colour, _broken))
    assert versions(path) == list(range(1, NEWEST + 1))
    assert "colour" not in read(path, "SELECT * FROM devices")
