import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.quality.questions import (
    REFERENCE,
    Choice,
    FreeAnswer,
    checksum,
    is_file,
    parse,
    read_questions,
)

GOOD = '{"prompt": "2 + 2 =", "answer": "4"}'


def test_the_three_kinds_of_question() -> None:
    choice, answer, pattern = parse(
        """
        {"prompt": "Snow is", "choices": ["black", "white"], "answer": 1, "id": "s1"}
        {"prompt": "2 + 2 =", "answer": " 4 ", "max_tokens": 3}

        {"prompt": "A date:", "pattern": "\\\\d{4}-\\\\d\\\\d", "stop": ["END", "."]}
        """,
        "mine.jsonl",
    )
    assert choice == Choice("Snow is", ("black", "white"), 1)
    assert isinstance(answer, FreeAnswer)
    assert (answer.stop, answer.max_tokens) == (("\n",), 3)
    assert isinstance(pattern, FreeAnswer)
    assert pattern.stop == ("END", ".")
    assert pattern.is_right("it was 2026-11, I think")
    assert not pattern.is_right("it was 2026")


def test_an_answer_may_be_given_by_the_text_of_the_choice() -> None:
    text = '{"prompt": "p", "choices": ["a", "b"], "answer": "b"}'
    assert [each.right for each in parse(f"{text}\n{text}", "f") if isinstance(each, Choice)] == [
        1,
        1,
    ]


@given(st.text(min_size=1).filter(str.strip), st.text(" \t", max_size=3))
def test_an_expected_answer_is_taken_literally_but_for_white_space(answer: str, space: str) -> None:
    line = json.dumps({"prompt": "p", "answer": answer})
    free, _ = parse(f"{line}\n{line}", "f")
    assert isinstance(free, FreeAnswer)
    assert free.is_right(space + answer + space)
    assert not free.is_right(answer + "x")
    assert not free.is_right("x" + answer)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("no json", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"answer": "4"}', "no prompt"),
        ('{"prompt": "  ", "answer": "4"}', "no prompt"),
        ('{"prompt": "p"}', "needs choices, an answer or a pattern"),
        ('{"prompt": "p", "answer": "4", "pattern": "4"}', "needs choices, an answer or a pattern"),
        ('{"prompt": "p", "answer": 4}', "no text"),
        ('{"prompt": "p", "answer": ""}', "no text"),
        ('{"prompt": "p", "pattern": "("}', "no regular expression"),
        ('{"prompt": "p", "choices": ["a"], "answer": 0}', "two or more"),
        ('{"prompt": "p", "choices": ["a", 2], "answer": 0}', "two or more"),
        ('{"prompt": "p", "choices": ["a", "a"], "answer": 0}', "the same"),
        ('{"prompt": "p", "choices": ["a", "b"], "answer": 2}', "none of its 2 choices"),
        ('{"prompt": "p", "choices": ["a", "b"], "answer": true}', "none of its 2 choices"),
        ('{"prompt": "p", "choices": ["a", "b"]}', "none of its 2 choices"),
        ('{"prompt": "p", "answer": "4", "stop": 3}', "its stop"),
        ('{"prompt": "p", "answer": "4", "max_tokens": 0}', "max_tokens"),
        ('{"prompt": "p", "answr": "4"}', "'answr'"),
    ],
)
def test_a_bad_line_is_named_by_its_number(line: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"{GOOD}\n\n{line}\n{GOOD}", "mine.jsonl")
    assert "mine.jsonl: line 3: " in caught.value.message
    assert told in caught.value.message
    assert "docs/quality.md" in caught.value.remedy


def test_every_bad_line_is_told_but_not_a_thousand_of_them() -> None:
    with pytest.raises(UsageError) as caught:
        parse("\n".join([GOOD, *["{}"] * 8]), "f")
    assert [f"line {n}:" in caught.value.message for n in (2, 6, 7)] == [True, True, False]
    assert "and 3 more" in caught.value.message


@given(st.lists(st.sampled_from([GOOD, "", "{}", "[", '{"prompt": 1}', "\u2028", "null"])))
def test_whatever_the_lines_all_are_questions_or_the_wrong_ones_are_named(lines: list[str]) -> None:
    wrong = [number for number, line in enumerate(lines, 1) if line.strip() and line != GOOD]
    try:
        found = parse("\n".join(lines), "f")
    except UsageError as error:
        told = error.message
    else:
        told = ""
        assert len(found) == lines.count(GOOD)
    assert [f"line {number}:" in told for number in wrong[:5]] == [True] * len(wrong[:5])
    assert bool(told) == bool(wrong or lines.count(GOOD) < 2)


def test_a_file_without_questions_is_refused() -> None:
    with pytest.raises(UsageError, match="holds 0 questions"):
        parse("\n\n", "mine.jsonl")


def test_the_reference_tasks_are_the_shipped_questions_by_kind() -> None:
    sizes = {task: len(read_questions(task)) for task in REFERENCE}
    assert sizes == {"reference-arithmetic": 98, "reference-fact": 98, "reference-story": 104}
    assert len({checksum(task) for task in REFERENCE}) == 3
    assert all(isinstance(each, Choice) for each in read_questions("reference-fact"))


def test_a_checksum_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{GOOD}\n{GOOD}\n")
    first = checksum(str(path))
    path.write_text(f"{GOOD}\n{GOOD}\n{GOOD}\n")
    assert checksum(str(path)) != first


def test_a_file_that_is_not_there_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"none\.jsonl"):
        read_questions(str(tmp_path / "none.jsonl"))
    path = tmp_path / "binary.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"binary\.jsonl cannot be read"):
        read_questions(str(path))


def test_what_is_a_file_of_questions_and_what_a_name_of_lm_eval() -> None:
    assert is_file("reference-fact")
    assert is_file("/tasks/mine.jsonl")
    assert not is_file("gsm8k")
