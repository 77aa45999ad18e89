"""Tables of separated values, as they are exported and as spreadsheets leave them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange.records import records
from odllm_controller.exchange.separated import DELIMITERS, table_of
from tests.odllm_controller.exchange.told import as_csv, start_of

NAMES = ("device", "model", "status", "decode_tok_s", "flags")


def table(*rows: str, delimiter: str = ",") -> str:
    return "\n".join([delimiter.join(NAMES), *rows]) + "\n"


def rows(text: str) -> list[dict[str, object]]:
    return [row for _, row in records(text) if isinstance(row, dict)]


def told(text: str) -> dict[int, str]:
    return {number: each.reason for number, each in records(text) if isinstance(each, Damage)}


def test_an_empty_text_and_a_missing_one_are_two_things() -> None:
    one, other = rows(table('"a","m","done",5,""', '"a","m","done",5,'))
    assert one["flags"] == ""
    assert other["flags"] is None


def test_where_everything_is_quoted_quotes_tell_nothing() -> None:
    (row,) = rows(table('"a","m","done","","x"'))
    assert row["decode_tok_s"] is None


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_quotes_delimiters_and_line_ends_may_stand_between_quotes(delimiter: str) -> None:
    row = delimiter.join(['"say ""a"""', '"m;,\t"', '"line\nbreak"', "5", ""])
    (found,) = rows(table(row, delimiter=delimiter))
    assert list(found.values()) == ['say "a"', "m;,\t", "line\nbreak", "5", None]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_comma_that_groups_no_thousands_is_a_decimal_point_of_all(delimiter: str) -> None:
    lines = (["a", "m", "done", "64,5", ""], ["b", "m", "done", "1,234", ""])
    found = rows(table(*map(delimiter.join, lines), delimiter=delimiter))
    assert [row["decode_tok_s"] for row in found] == ["64.5", "1.234"]


@pytest.mark.parametrize(
    ("cells", "refused"),
    [
        (["1,234"], {2}),
        (["1,234", "5.5"], {2}),
        (["12,345,678"], {2}),
        (["64,5", "1.234"], {3}),
        (["1.234", "5.5"], set()),
        (["0,125", "1,234"], set()),
        (["64"], set()),
    ],
)
def test_what_only_a_guess_would_tell_is_refused_by_name(
    cells: list[str], refused: set[int]
) -> None:
    text = table(*(f"a;m;done;{cell};" for cell in cells), delimiter=";")
    assert told(text).keys() == refused
    assert all("decode_tok_s: whether" in reason for reason in told(text).values())
    assert len(rows(text)) == len(cells) - len(refused)


def test_a_comma_is_left_alone_where_commas_stand_between_cells() -> None:
    (row,) = rows(table('a,m,done,"64,5",'))
    assert row["decode_tok_s"] == "64,5"


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        ("b,m", "2 cells, and the heading has 5"),
        ("b,m,done,5,,", "6 cells"),
        ('"b,m,done,5,', "quotes"),
        ('b"c,m,done,5,', "quotes"),
        ("a message of a tool", "1 cells"),
    ],
)
def test_a_row_that_is_damaged_costs_itself_alone(damaged: str, reason: str) -> None:
    text = table("a,m,done,5,", damaged, "c,m,done,7,")
    assert [row["device"] for row in rows(text)] == ["a", "c"]
    assert reason in told(text)[3]


def test_a_second_heading_begins_another_table() -> None:
    text = table("a,m,done,5,") + "model,device,status\nm,b,done\n"
    assert [row["device"] for row in rows(text)] == ["a", "b"]
    assert told(text) == {}


def test_numbers_of_llama_bench_are_numbers_and_its_texts_are_texts() -> None:
    (row,) = rows(as_csv(start_of(build_commit="1234567", model_filename="7")))
    assert (row["build_commit"], row["model_filename"]) == ("1234567", "7")
    assert (row["n_prompt"], row["avg_ts"], row["n_threads"]) == (512, 512.0, 2)


@pytest.mark.parametrize(
    "line", ["", "a,b,c", "device,model", "device,device,model,status", '"device,model,status']
)
def test_what_is_no_heading_begins_no_table(line: str) -> None:
    assert table_of(line) is None


@given(
    st.lists(
        st.none() | st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])),
        min_size=5,
        max_size=5,
    )
)
def test_any_text_comes_back(cells: list[str | None]) -> None:
    cells = ["a", *cells[1:4], None]
    line = ",".join(
        "" if cell is None else f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells
    )
    (row,) = rows(table(line))
    assert list(row.values()) == cells
