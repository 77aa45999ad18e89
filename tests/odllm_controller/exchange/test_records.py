"""The records of a text, and what is told of the rest."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange import records as module
from odllm_controller.exchange.records import records
from tests.odllm_controller.exchange.told import FORMS, start_of

A = {"n_prompt": 1, "samples_ns": [1, 2]}
B = {"n_prompt": 2, "settings": {"threads": 2}}
ONE, TWO = json.dumps(A), json.dumps(B)
WIDE_A, WIDE_B = json.dumps(A, indent=2), json.dumps(B, indent=2)
LOG = "ggml_vulkan: 0 = Example GPU | uma: 0 | fp16: 0"


def whole(text: str) -> list[Any]:
    return [value for _, value in records(text) if not isinstance(value, Damage)]


def told(text: str) -> dict[int, str]:
    return {number: each.reason for number, each in records(text) if isinstance(each, Damage)}


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"{ONE}\n\n\n{TWO}",
        f"{ONE}{TWO}",
        f"{ONE} {TWO}",
        f"{ONE}, {TWO}",
        f"{ONE},\n{TWO},\n",
        f"[{ONE}, {TWO}]",
        f"[{ONE}][{TWO}]",
        f"[{ONE}],\n[{TWO}]\n",
        f"[[{ONE}], {TWO}]",
        f"{ONE}[{TWO}]",
        f"{WIDE_A}{WIDE_B}",
        f"[\n{WIDE_A},\n{WIDE_B}\n]",
        f"[{WIDE_A}\n]\n[\n{WIDE_B}]\n",
        f"\ufeff[{ONE}]\r\n\ufeff[{TWO}]\r\n",
        f"[]\n[{ONE}]\n[]{TWO}",
        f"\x1e{ONE}\n\x1e{TWO}\n",
        f"{ONE}\n\xa0\u2003\n{TWO}\n\x1a",
    ],
)
def test_objects_are_found_however_they_were_put_together(text: str) -> None:
    assert whole(text) == [A, B]
    assert told(text) == {}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (f"{LOG}\n{ONE}\n{LOG}\n{TWO}\n{LOG}\n", [1, 3, 5]),
        (f"{LOG}\n[\n{WIDE_A},\n{LOG}\n{WIDE_B}\n]\n{LOG}", [1, 10, 18]),
        (f"[INFO] starting\n[{ONE},\n[warn] {LOG}\n{TWO}]\n", [1, 3]),
        (f"  Device 0: Invented GPU, compute capability 9.9, VMM: yes\n[{ONE},\n{TWO}]\n", [1]),
        (f"loading 10 %\rloading 90 %\r{ONE}\n{TWO}\n", [1]),
        (f"{LOG} {ONE}\n{TWO} {LOG}\n", [1, 2]),
        (f"null\n{ONE}\n3.5\n{TWO}\ntrue\n", [1, 3, 5]),
        (f"{{}} {ONE}\n{{broken {LOG}\n{TWO}", [2]),
    ],
)
def test_a_line_that_is_no_record_costs_nothing_but_a_word(text: str, numbers: list[int]) -> None:
    assert [value for value in whole(text) if value] == [A, B]
    assert list(told(text)) == numbers


@pytest.mark.parametrize(
    ("text", "number", "what"),
    [
        (f"{ONE},\n{TWO}\n]\n", 3, "array"),
        (f"[{ONE}]]\n[{TWO}]\n", 1, "array"),
        (f"[{ONE}]\n]\n[{TWO}]\n", 2, "array"),
        (f"{WIDE_A}\n}}\n{TWO}", 8, "object"),
        (f"}}, {ONE}, {TWO}", 1, "object"),
    ],
)
def test_a_bracket_that_closes_nothing_is_told(text: str, number: int, what: str) -> None:
    assert whole(text) == [A, B]
    assert told(text) == {
        number: f"the {what} that ends here has no beginning: more may be missing"
    }


@pytest.mark.parametrize("form", FORMS)
def test_of_every_form_a_message_before_between_and_behind_is_told(form: str) -> None:
    lines = FORMS[form](start_of(), start_of(1, n_prompt=0, n_gen=128)).splitlines()
    n_records = len(whole("\n".join(lines)))
    assert n_records == 2
    between = {"json": 1, "jsonl": 1, "sql": -1, "csv": -1, "md": -3}[form]
    marked = [LOG, *lines[:between], "llama_perf: done", *lines[between:], "a = 1"]
    found = whole("\n".join(marked))
    assert len(found) == n_records
    assert len(told("\n".join(marked))) == 3


def test_several_forms_in_one_file_are_all_read() -> None:
    text = "".join(write(start_of(n)) for n, write in enumerate(FORMS.values()))
    found = [value for value in whole(text) if isinstance(value, dict)]
    assert [value["n_prompt"] for value in found] == [512] * 5
    assert told(text) == {}
    assert [value for value in found if "size" in value], "one came of Markdown"


def test_values_have_the_numbers_of_their_lines() -> None:
    found = list(records(f'\n[\n {{"a": 1}},\n\n {{"b":\n 2}}, nonsense]\n{ONE}\n]'))
    assert [number for number, _ in found] == [3, 5, 6, 7]
    assert isinstance(found[2][1], Damage)


def test_an_array_that_was_cut_off_keeps_its_whole_objects_and_is_told() -> None:
    text = f"[\n{ONE},\n{TWO}\n"
    assert whole(text) == [A, B]
    assert "has no end" in told(text)[1]
    text = f"[\n{WIDE_A},\n{WIDE_B[:-30]}"
    assert whole(text) == [A]
    assert len(told(text)) == 1, "once for what is one object"


@settings(max_examples=40)
@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1), min_size=1),
    st.sampled_from([None, 1]),
)
def test_of_an_array_that_was_cut_off_anywhere_whole_objects_before_count(
    values: list[object], indent: int | None
) -> None:
    text = json.dumps(values, indent=indent)
    for end in range(1, len(text)):
        assert whole(text[:end]) == values[: len(whole(text[:end]))]
        assert told(text[:end])


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        ('{"a": NaN}', "NaN is no figure"),
        ('{"a": -Infinity}', "-Infinity is no figure"),
        ('{"a": 1e400}', "1e400 is no figure"),
        ('{"a": {"b": [-1e999]}}', "-1e999 is no figure"),
        ('{"a": 1e5x}', "no whole JSON"),
        ('{"a": 1, "a": 2}', "a is there twice"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": 1', "no whole JSON"),
        ('{"a": "x', "no whole JSON"),
        ('{"a": [', "no whole JSON"),
        ('{"a" 1}', "no whole JSON"),
        ('{"a": "\0"}', "characters 0"),
        ('{"a": ' + "9" * 9999 + "}", "digits"),
    ],
)
def test_what_is_damaged_costs_itself_alone(damaged: str, reason: str) -> None:
    text = f"{ONE}\n{damaged}\n{TWO}\n"
    assert whole(text) == [A, B]
    assert reason in told(text)[2]
    if damaged.endswith("}"):
        assert whole(f"[{ONE},{damaged},{TWO}]") == [A, B]


@pytest.mark.parametrize("depth", [5_000, 20_000])
def test_a_table_behind_what_is_nested_too_deeply_is_kept(depth: int) -> None:
    nested = '{"a":' + "[" * depth + "]" * depth + "}"
    found = whole(f"{nested}\n{FORMS['csv'](start_of(), start_of(1))}")
    assert [row["n_prompt"] for row in found] == [start_of()["n_prompt"]] * 2


def test_a_line_end_in_a_cell_stays_as_it_is() -> None:
    cell = "a\r\n\ufeffb"
    text = FORMS["csv"](start_of(cpu_info=cell)).replace("\n", "\r\n").replace("\r\r\n", "\r\n")
    assert [row["cpu_info"] for row in whole(text)] == [cell]


def test_text_in_two_encodings_is_told_by_name() -> None:
    text = f"{ONE}\n" + TWO.encode("utf-16-le").decode("latin-1") + "\n"
    assert whole(text) == [A]
    assert "another encoding" in told(text)[2]


def test_hostile_text_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_IN_VAIN", 1000)
    text = '{"a":[\n' * 300 + "1,\n" * 3000 + ONE
    assert "the rest is not read" in list(told(text).values())[-1]


@given(st.text())
def test_any_text_gives_records_or_damage(text: str) -> None:
    for number, found in records(f"{ONE}\n{text}\n{TWO}"):
        assert 1 <= number <= text.count("\n") + 3
        assert isinstance(found, Damage | dict)


@given(st.lists(st.sampled_from(["one", "two", "log", "wide", "array", "torn"]), max_size=8))
def test_nothing_that_is_whole_is_lost_in_any_mixture(parts: list[str]) -> None:
    texts = {
        "one": f"{ONE}\n",
        "two": f"{TWO},\n",
        "log": f"{LOG}\n",
        "wide": f"{WIDE_A}\n",
        "array": f"[{ONE},\n{WIDE_B}]\n",
        "torn": ONE[:-9] + "\n",
    }
    n_objects = {"one": 1, "two": 1, "log": 0, "wide": 1, "array": 2, "torn": 0}
    text = "".join(texts[part] for part in parts)
    assert len(whole(text)) == sum(n_objects[part] for part in parts)
    assert len(told(text)) == sum(part in {"log", "torn"} for part in parts)
