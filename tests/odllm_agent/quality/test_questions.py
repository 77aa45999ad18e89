import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Exam
from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.quality.examining import look_up
from odllm_agent.quality.questions import (
    REFERENCE,
    ChoiceQuestion,
    FreeAnswer,
    checksum,
    is_file,
    parse,
    read_questions,
)
from tests.fuzz import questions as fuzzed

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
    assert choice == ChoiceQuestion("Snow is", ("black", "white"), 1)
    assert isinstance(answer, FreeAnswer)
    assert (answer.stop, answer.max_tokens) == (("\n",), 3)
    assert isinstance(pattern, FreeAnswer)
    assert pattern.stop == ("END", ".")
    assert pattern.is_right("it was 2026-11, I think")
    assert not pattern.is_right("it was 2026")


def test_an_answer_may_be_given_by_the_text_of_the_choice() -> None:
    text = '{"prompt": "p", "choices": ["a", "b"], "answer": "b"}'
    assert [
        each.right for each in parse(f"{text}\n{text}", "f") if isinstance(each, ChoiceQuestion)
    ] == [
        1,
        1,
    ]


@given(
    st.text(min_size=1).filter(str.strip).filter(lambda text: "\n" not in text),
    st.text(" \t", max_size=3),
)
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
    assert all(isinstance(each, ChoiceQuestion) for each in read_questions("reference-fact"))


def test_a_checksum_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{GOOD}\n{GOOD}\n")
    first = checksum(str(path))
    path.write_text(f"{GOOD}\n{GOOD}\n{GOOD}\n")
    assert checksum(str(path)) != first


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.jsonl")
    with pytest.raises(UsageError, match=r"mine\.jsonl cannot be read: it is no file"):
        read_questions(str(tmp_path / "mine.jsonl"))


@pytest.mark.parametrize("name", ["mine.csv", "mine.txt", "mine"])
def test_a_file_of_another_ending_is_told_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("prompt;answer\n")
    with pytest.raises(UsageError, match=r"ends in none of \.jsonl, \.ndjson, \.json") as refused:
        look_up(Exam(str(tmp_path / name), "", None))
    assert name in refused.value.message


@pytest.mark.parametrize(
    "content",
    [
        {"prompt": "p", "answer": "15\n04"},
        {"prompt": "p", "answer": "15 04", "stop": " "},
        {"prompt": "p", "answer": "a.b", "stop": ["x", "."]},
    ],
)
def test_an_answer_that_no_model_can_give_is_refused(content: Mapping[str, object]) -> None:
    with pytest.raises(UsageError, match="at which every answer is cut off"):
        parse("\n".join([GOOD, json.dumps(content)]), "mine.jsonl")


def test_an_answer_may_end_where_the_model_stops() -> None:
    right = json.dumps({"prompt": "p", "answer": "15\n", "stop": ["\n", ";"]})
    assert len(parse(f"{GOOD}\n{right}", "mine.jsonl")) == 2


def test_a_file_that_is_not_there_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"none\.jsonl"):
        read_questions(str(tmp_path / "none.jsonl"))
    path = tmp_path / "binary.jsonl"
    path.write_bytes(b"\xff\xfa")
    with pytest.raises(UsageError, match=r"binary\.jsonl cannot be read"):
        read_questions(str(path))


def test_what_is_a_file_of_questions_and_what_a_name_of_lm_eval() -> None:
    assert is_file("reference-fact")
    assert is_file("/tasks/mine.jsonl")
    assert not is_file("gsm8k")


TWO = f"{GOOD}\n{GOOD}"


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        TWO.encode("utf-8-sig"),
        TWO.encode("utf-16"),
        b"\xfe\xff" + TWO.encode("utf-16-be"),
        TWO.encode("utf-16-le"),
        TWO.encode("utf-32"),
        TWO.replace("\n", "\r\n").encode("utf-16"),
        f"{GOOD}\r\n\r\n{GOOD}\r\n  \r\n".encode(),
        f"\n\n{TWO}\n\n\n".encode(),
        f"{GOOD}\n\ufeff{GOOD}\n".encode("utf-8-sig"),
        f"[{GOOD}, {GOOD}]".encode(),
        f"[\n  {GOOD},\n  {GOOD}\n]\n".encode("utf-8-sig"),
    ],
)
def test_a_file_is_read_in_whichever_encoding_and_with_whichever_line_ends_it_is_written(
    tmp_path: Path, content: bytes
) -> None:
    assert read_questions(written(tmp_path / "mine.jsonl", content)) == parse(TWO, "f")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"prompt,answer\n2 + 2 =,4\n", "line 1: it is no JSON .*is it CSV"),
        (b"[\n" + GOOD.encode() + b",\n", "line 1: it is no JSON .*a question takes one line"),
        (GOOD.encode() + b"\n[" + GOOD.encode() + b"]", "line 2: it is no JSON object"),
        (GOOD.encode() + b"\n\xff\n", "line 2: byte 37 is no UTF-8"),
        (GOOD.encode() + b"\n\0\n", "line 2: it holds a zero byte"),
        (b"\xff\xfe" + TWO.encode("utf-16-le")[:-1], "line 2: byte .* is no UTF-16-LE"),
        (
            b'{"prompt": "p", "prompt": "q", "answer": "4"}',
            "line 1: it has the field 'prompt' twice",
        ),
        (b'{"prompt": "\\ud83d", "answer": "4"}', "line 1: it holds half a character"),
        (b"[" * 100_000, "line 1: it is no JSON"),
        (b'{"prompt": "p", "pattern": "a{99999999999}"}', "line 1: its pattern is no regular"),
        (b'{"prompt": "p", "answer": "4", "max_tokens": NaN}', "line 1: NaN is no number"),
        (b"[" + GOOD.encode() + b', {"answer": "4"}]', "question 2: it has no prompt"),
        (b"", "holds 0 questions"),
        (b"\xef\xbb\xbf\r\n", "holds 0 questions"),
    ],
)
def test_what_is_no_file_of_questions_is_refused_by_name_with_its_line(
    tmp_path: Path, content: bytes, told: str
) -> None:
    name = written(tmp_path / "mine.jsonl", content)
    with pytest.raises(UsageError, match=told) as refused:
        read_questions(name)
    assert name in refused.value.message


def test_files_are_known_by_their_ends() -> None:
    assert all(map(is_file, ("a.jsonl", "B.JSONL", "a.ndjson", "a.json", "reference-fact")))
    assert not is_file("arc_easy")


def test_of_mutated_files_no_question_is_lost_without_being_told() -> None:
    assert fuzzed.broken(seed=1, files=200) == []
