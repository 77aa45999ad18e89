"""SQL of a stranger: its rows, and nothing that it would do besides."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange.llama_bench.sql import SqlTables
from odllm_controller.exchange.records import records as sql_rows
from tests.odllm_controller.exchange.told import DATA

CHARACTERS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5)
SQL_PIECES = (
    *("'", "''", '"', ";", "\n", "\r", "--", "/*", "*/", "(", ")", ", ", "NULL", "\n);"),
    *("INSERT INTO test (a) VALUES ('x');", "DROP TABLE test;", "ATTACH '' AS other;"),
)
HOSTILE = (
    "ATTACH DATABASE '{place}' AS other;",
    "VACUUM INTO '{place}';",
    "PRAGMA journal_mode = DELETE;",
    "SELECT load_extension('{place}');",
    "SELECT writefile('{place}', 'x');",
    "INSERT INTO test (a) VALUES (hex(zeroblob(1000000000)));",
    "INSERT INTO test SELECT 'x', 1;",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    " INSERT INTO test (n) SELECT x FROM c;",
    "CREATE TRIGGER t AFTER INSERT ON test BEGIN DELETE FROM test; END;",
    "CREATE VIEW v AS SELECT * FROM sqlite_master;",
    "CREATE VIRTUAL TABLE v USING fts5(x);",
    "CREATE TABLE other (x);",
    "UPDATE sqlite_master SET sql = 'x';",
    "DELETE FROM test;",
    "DROP TABLE test;",
    "INSERT INTO nowhere VALUES ('1');",
    "INSERT INTO test (a) VALUES ('it's');",
    "INSERT INTO test (a) VALUES ('1'); INSERT INTO test (a) VALUES ('2');",
    "INSERT INTO test (a) VALUES ('x') RETURNING a;",
    "INSERT INTO test (rowid) VALUES (1) ON CONFLICT (rowid) DO UPDATE SET a = 'y';",
)
TABLE = "CREATE TABLE IF NOT EXISTS test (\n  a TEXT,\n  n INTEGER\n);\n"


def test_what_llama_bench_wrote_gives_a_row_per_test() -> None:
    found = list(sql_rows((DATA / "llama-bench-0c1e570.sql").read_text()))
    assert [number for number, _ in found] == [46, 47, 48, 49]
    rows = [row for _, row in found if isinstance(row, dict)]
    assert [(row["n_prompt"], row["n_gen"]) for row in rows] == [(64, 0), (0, 16)] * 2
    assert rows[0]["model_type"] == "qwen2 ?B F16"
    assert isinstance(rows[0]["avg_ts"], float)


@pytest.mark.parametrize("name", ["test", "llama_bench", "test_v3"])
def test_the_table_of_any_version_is_read(name: str) -> None:
    text = TABLE.replace("test", name) + f"INSERT INTO {name} (a, n) VALUES ('x', '7');"
    assert list(sql_rows(text)) == [(5, {"a": "x", "n": 7})]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_statement_that_does_anything_else_is_refused_and_the_next_is_read(
    hostile: str, tmp_path: Path
) -> None:
    place = tmp_path / "written"
    text = f"{TABLE}{hostile.format(place=place)}\nINSERT INTO test (a) VALUES ('kept');\n"
    *refused, (number, row) = sql_rows(text)
    assert {line for line, _ in refused} == {5}
    assert {type(found) for _, found in refused} == {Damage}
    assert (number, row) == (6, {"a": "kept", "n": None})
    assert not place.exists()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_sqlite_itself_may_do_nothing_but_take_rows(hostile: str, tmp_path: Path) -> None:
    place = tmp_path / "written"
    with contextlib.closing(SqlTables()) as tables:
        assert tables.taken(TABLE) == []
        (refused,) = tables.taken(hostile.format(place=place))
        assert isinstance(refused, Damage)
        assert tables.taken("INSERT INTO test (a) VALUES ('kept');") == [{"a": "kept", "n": None}]
    assert not place.exists()


def test_a_statement_without_an_end_is_not_read_for_ever() -> None:
    text = TABLE + "INSERT INTO test (a) VALUES ('\n" + ";\n" * 20_000
    found = list(sql_rows(text))
    assert found[0][0] == 5
    assert {type(each) for _, each in found} == {Damage}


def test_a_statement_longer_than_any_of_llama_bench_is_refused_and_the_next_is_read() -> None:
    long = "INSERT INTO test (a) VALUES ('" + "x\n" * 6_000 + "');\n"
    *refused, (_, row) = sql_rows(TABLE + long + "INSERT INTO test (a) VALUES ('kept');\n")
    assert {type(found) for _, found in refused} == {Damage}
    assert row == {"a": "kept", "n": None}


def test_a_message_between_statements_costs_neither() -> None:
    text = f"log one\n{TABLE}log two;\nINSERT INTO test (a) VALUES ('kept');\nlog 'three\n"
    found = list(sql_rows(text + "INSERT INTO test (n) VALUES ('7');\n"))
    assert [row for _, row in found if isinstance(row, dict)] == [
        {"a": "kept", "n": None},
        {"a": None, "n": 7},
    ]
    assert [number for number, row in found if isinstance(row, Damage)] == [1, 6, 8]


def test_outputs_of_two_versions_may_follow_each_other() -> None:
    newer = TABLE.replace("n INTEGER", "n INTEGER,\n  load_mode TEXT")
    text = (
        f"{TABLE}INSERT INTO test (a) VALUES ('one');\n"
        f"{newer}INSERT INTO test (a, load_mode) VALUES ('two', 'mmap');\n"
        "CREATE TABLE IF NOT EXISTS test (a TEXT, oh no;\n"
        "INSERT INTO test (a, load_mode) VALUES ('three', 'dio');\n"
    )
    rows = [row for _, row in sql_rows(text) if isinstance(row, dict)]
    assert [(row["a"], row.get("load_mode")) for row in rows] == [
        ("one", None),
        ("two", "mmap"),
        ("three", "dio"),
    ]


def test_a_statement_may_be_continued_by_a_value_of_several_lines() -> None:
    text = f"{TABLE}INSERT INTO test (a) VALUES ('one\ntwo;\n');\n"
    assert list(sql_rows(text)) == [(5, {"a": "one\ntwo;\n", "n": None})]


def test_what_was_cut_off_is_damage() -> None:
    text = TABLE + "INSERT INTO test (a) VALUES ('kept');\nINSERT INTO test (a) VALUES ('los"
    (_, row), (number, damage) = sql_rows(text)
    assert row == {"a": "kept", "n": None}
    assert number == 6
    assert isinstance(damage, Damage)


@given(st.lists(st.sampled_from(SQL_PIECES) | CHARACTERS).map("".join))
@example("x'); --")
@example("\n'")
def test_a_value_that_is_not_quoted_costs_its_own_statement_at_most(value: str) -> None:
    text = (
        f"{TABLE}INSERT INTO test (a) VALUES ('{value}');\nINSERT INTO test (a) VALUES ('kept');\n"
    )
    *told, (_, last) = sql_rows(text)
    assert last == {"a": "kept", "n": None}
    assert [number for number, _ in told[:1]] == [5], "of every statement something is told"
    for _, found in told:
        assert isinstance(found, Damage) or found.keys() == {"a", "n"}  # type: ignore[attr-defined]
    if "'" not in value:
        assert told == [(5, {"a": value, "n": None})]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@example("\r\n")
@example("a\n\ufeffb\r\n")
def test_any_quoted_value_comes_back(value: str) -> None:
    literal = value.replace("'", "''")
    found = list(sql_rows(f"{TABLE}INSERT INTO test (a) VALUES ('{literal}');"))
    assert [row for _, row in found] == [{"a": value, "n": None}]
