"""The questions of a task: a file of JSON, the reference ladder's own or anybody's.

docs/quality.md describes the format for people.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.files import text_file
from odllm_agent.files.json_fields import Twice, once
from odllm_agent.files.typed_path import typed_path
from odllm_agent.models import ladder

SUFFIXES = (".jsonl", ".ndjson", ".json")
REFERENCE = {f"reference-{kind}": kind for kind in ("arithmetic", "fact", "story")}
"""The tasks of the reference models, and the kind of their questions in the shipped file."""

SHIPPED = (*REFERENCE, "hellaswag-100")
"""The tasks that ship with ODLLM."""

_MOST_TOLD = 5
_SHAPES = (
    'a line is {"prompt": TEXT, "choices": [TEXT, ...], "answer": POSITION}, '
    '{"prompt": TEXT, "answer": TEXT} or {"prompt": TEXT, "pattern": REGEX}; see docs/quality.md'
)
_FIELDS = {"prompt", "choices", "answer", "pattern", "stop", "max_tokens", "kind", "id"}


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """A question with choices: answered right if the right one is the likeliest.

    Attributes:
        prompt: What stands before the choice.
        choices: At least two.
        right: The position of the right one, from 0.
    """

    prompt: str
    choices: tuple[str, ...]
    right: int


@dataclass(frozen=True, slots=True)
class FreeAnswer:
    """A question that the model answers in its own words.

    Attributes:
        prompt: What it is given.
        pattern: What a right answer matches somewhere in it.
        stop: The answer ends before the first of these.
        max_tokens: The answer ends after so many tokens.
    """

    prompt: str
    pattern: re.Pattern[str]
    stop: tuple[str, ...] = ("\n",)
    max_tokens: int = 64

    def is_right(self, answer: str) -> bool:
        """Whether an answer is right; white space around it does not count."""
        return self.pattern.search(answer.strip()) is not None


Question = ChoiceQuestion | FreeAnswer


def is_file(task: str) -> bool:
    """Whether a task's questions stand in a file: the shipped one, or one on the device."""
    return task in SHIPPED or task.lower().endswith(SUFFIXES)


def refuse_other_file(task: str) -> None:
    """Checks that a task that is none of these is no file either, such as one of CSV.

    Raises:
        UsageError: It is one that no task of lm-eval is written in.
    """
    if Path(task).suffix != ".yaml" and typed_path(task).is_file():
        raise UsageError(
            f"the file of questions {task} ends in none of {', '.join(SUFFIXES)}", _SHAPES
        )


def checksum(task: str) -> str:
    """The checksum of a task's file, once each of its lines has been found to be a question.

    Raises:
        DataMissing: There is no such file.
        UsageError: It cannot be read, or a line of it is no question.
    """
    read_questions(task)
    content = _text(_path(task)) + REFERENCE.get(task, "")
    return hashlib.sha256(content.encode()).hexdigest()


def read_questions(task: str) -> tuple[Question, ...]:
    """The questions of a task, in the order of its file.

    Raises:
        DataMissing: There is no such file.
        UsageError: It cannot be read, or lines of it are no questions; they are named by number.
    """
    path = _path(task)
    return parse(_text(path), str(path), REFERENCE.get(task))


def parse(text: str, name: str, kind: str | None = None) -> tuple[Question, ...]:
    """The questions in the text of a file: a JSON object a line, or all in one JSON list.

    Blank lines are left out.

    Args:
        text: The file's text.
        name: The file's name, for messages.
        kind: Takes only the questions with this `kind`, or all.

    Raises:
        UsageError: Lines of it are no questions; they are named by number. Or there is none.
    """
    found: list[Question] = []
    wrong: list[str] = []
    for where, read in _records(text):
        try:
            content = _fields(read())
            if kind in {None, content.get("kind")}:
                found.append(_question(content))
        except _Wrong as reason:
            wrong.append(f"{where}: {reason}")
    if wrong:
        more = [f"and {len(wrong) - _MOST_TOLD} more"] if len(wrong) > _MOST_TOLD else []
        raise UsageError(f"{name}: {'; '.join(wrong[:_MOST_TOLD] + more)}", _SHAPES)
    # A share of fewer has no standard error.
    if len(found) < 2:
        raise UsageError(f"{name} holds {len(found)} questions, and two are the least", _SHAPES)
    return tuple(found)


class _Wrong(Exception):
    """What is wrong with a line."""


def _path(task: str) -> Path:
    if task in REFERENCE:
        return ladder.folder() / "questions.jsonl"
    if task in SHIPPED:
        return Path(str(resources.files("odllm_agent.quality"))) / "shipped" / f"{task}.jsonl"
    return typed_path(task)


def _text(path: Path) -> str:
    try:
        text = text_file.decoded(text_file.content(path))
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError as error:
        raise DataMissing(
            f"there is no file of questions {path}",
            "check the path in quality.tasks; it must be on the device itself",
        ) from error
    except OSError as error:
        raise UsageError(
            f"the file of questions {path} cannot be read: {error.strerror}", "name a text file"
        ) from error
    except text_file.NotText as error:
        raise UsageError(
            f"the file of questions {path} cannot be read: {error}", "save it as UTF-8 text"
        ) from error


def _records(text: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Where each question stands, and what reads it."""
    whole = _list(text)
    if whole is not None:
        for number, content in enumerate(whole, start=1):
            yield f"question {number}", partial(_given, content)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        # Files that were joined have a byte order mark in their middle.
        if content := line.strip().lstrip("\ufeff").strip():
            yield f"line {number}", partial(_json, content)


def _given(content: object) -> object:
    return content


def _list(text: str) -> list[object] | None:
    """The elements of a text that is one JSON list of objects, or `None` if it is none."""
    try:
        content = _json(text) if text.lstrip().startswith("[") else None
    except _Wrong:
        return None
    is_list = isinstance(content, list) and all(isinstance(each, dict) for each in content)
    return content if is_list else None  # type: ignore[return-value]


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=_no_number)
    except Twice as error:
        raise _Wrong(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _Wrong(f"it is no JSON ({error}){_likely(text)}") from error


def _no_number(name: str) -> float:
    raise _Wrong(f"{name} is no number in JSON")


def _likely(line: str) -> str:
    """What a line may be that is no JSON."""
    if line in {"{", "["}:
        return "; a question takes one line, or all of them are one list"
    return "" if line.startswith(("{", "[", '"')) else "; is it CSV or plain text?"


def _fields(content: object) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise _Wrong("it is no JSON object")
    if not _is_whole(content):
        raise _Wrong("it holds half a character, such as \\ud83d alone")
    unknown = sorted(content.keys() - _FIELDS)
    if unknown:
        raise _Wrong(f"it has the unknown field {unknown[0]!r}")
    return content


def _question(content: Mapping[str, Any]) -> Question:
    prompt = content.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _Wrong("it has no prompt")
    if "choices" in content:
        return _choice(prompt, content)
    pattern, stop = _pattern(content), _stop(content)
    answer = str(content.get("answer") or "").strip()
    unmet = next((word for word in stop if answer and word in answer), None)
    if unmet:
        raise _Wrong(f"its answer holds {unmet!r}, at which every answer is cut off")
    return FreeAnswer(prompt, pattern, stop, _max_tokens(content))


def _choice(prompt: str, content: Mapping[str, Any]) -> ChoiceQuestion:
    choices, answer = content["choices"], content.get("answer")
    if not _is_texts(choices) or len(choices) < 2:
        raise _Wrong("its choices are no list of two or more texts")
    if len(set(choices)) < len(choices):
        raise _Wrong("two of its choices are the same")
    if isinstance(answer, str) and answer in choices:
        answer = choices.index(answer)
    if type(answer) is not int or not 0 <= answer < len(choices):
        raise _Wrong(f"its answer is {answer!r}, which is none of its {len(choices)} choices")
    return ChoiceQuestion(prompt, tuple(choices), answer)


def _pattern(content: Mapping[str, Any]) -> re.Pattern[str]:
    """What a right answer matches: the pattern, or the expected answer from start to end."""
    pattern, answer = content.get("pattern"), content.get("answer")
    if (pattern is None) == (answer is None):
        raise _Wrong("it needs choices, an answer or a pattern")
    if isinstance(answer, str) and answer.strip():
        return re.compile(rf"\A{re.escape(answer.strip())}\Z")
    if not isinstance(pattern, str) or not pattern:
        raise _Wrong("its answer or pattern is no text")
    try:
        with warnings.catch_warnings(action="ignore"):
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _Wrong(f"its pattern is no regular expression ({error})") from error


def _stop(content: Mapping[str, Any]) -> tuple[str, ...]:
    stop = content.get("stop", ["\n"])
    stop = [stop] if isinstance(stop, str) else stop
    if not _is_texts(stop):
        raise _Wrong("its stop is neither a text nor a list of texts")
    return tuple(stop)


def _max_tokens(content: Mapping[str, Any]) -> int:
    wanted = content.get("max_tokens", 64)
    if type(wanted) is not int or wanted < 1:
        raise _Wrong(f"its max_tokens is {wanted!r}, which is no number above 0")
    return wanted


def _is_whole(content: object) -> bool:
    """Whether every text in it can be written, and so be read by a model."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError:
        # So many lists in one another are refused as no text.
        return True
    return True


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
