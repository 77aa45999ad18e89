"""JSON in files: whole, cut off, hostile."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_agent.logbook import Damage
from odllm_controller.exchange import lines
from odllm_controller.exchange.lines import json_array, json_lines, text_of

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=5,
)


@given(st.lists(PLAIN), st.sampled_from([None, 1]))
def test_an_array_is_read_value_by_value(values: list[object], indent: int | None) -> None:
    text = json.dumps(values, indent=indent)
    assert [value for _, value in json_array(text)] == values


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1), min_size=1))
def test_of_an_array_that_was_cut_off_whole_values_before_count(values: list[object]) -> None:
    text = json.dumps(values)
    for end in range(1, len(text)):
        *whole, (_, last) = json_array(text[:end])
        assert isinstance(last, Damage)
        assert [value for _, value in whole] == values[: len(whole)]
        assert len(whole) >= text[:end].count("}, {")


def test_values_have_the_numbers_of_their_lines() -> None:
    found = list(json_array('\n[\n {"a": 1},\n\n {"b":\n 2}, nonsense]'))
    assert [number for number, _ in found] == [3, 5, 6]
    assert isinstance(found[-1][1], Damage)


@pytest.mark.parametrize("text", ["[NaN]", "[-Infinity]", "[" * 100_000, "[1e5x]", "[{]"])
def test_what_is_no_json_is_damage(text: str) -> None:
    assert [type(value) for _, value in json_array(text)][-1] is Damage


def test_a_line_that_is_damaged_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b'{"a": 1}\n\n{"a": NaN}\n\xff\n' + b"[" * 99_999 + b'\n{"a": 2')
    found = dict(json_lines(path))
    assert found[1] == {"a": 1}
    assert [number for number, value in found.items() if isinstance(value, Damage)] == [3, 4, 5, 6]


def test_a_line_without_an_end_is_not_read_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_MOST_LINE_BYTES", 100)
    path = tmp_path / "f"
    path.write_bytes(b'{"a": 1}\n"' + b"x" * 1000)
    found = json_lines(path)
    assert next(found) == (1, {"a": 1})
    with pytest.raises(UsageError, match=r"line 2 of .* is longer"):
        next(found)


def test_a_file_that_is_too_large_or_no_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    for content in (b"[\0]", b"[\xff]"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"f (is no text|cannot be read)"):
            text_of(path)
    monkeypatch.setattr(lines, "_MOST_BYTES", 1)
    with pytest.raises(UsageError, match="split it"):
        text_of(path)
