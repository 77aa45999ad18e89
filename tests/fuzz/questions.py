"""Files of questions as editors and shells leave them, and spoilt ones, with a reader of its own.

`python -m tests.fuzz.questions` reads 2,000 of them. A file that only looks otherwise (another
encoding, other line ends, blank lines) must be read whole; of a spoilt one no question may be lost
without being told.
"""

import argparse
import codecs
import json
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from odllm_agent.errors import OdllmError
from odllm_agent.quality.questions import Question, read_questions

FILES = 2000
_LONGEST_S = 10.0
_LETTERS = "abc XYZ 0123 ,;:'\"\\/{}[]<>\t ü é ß ж 語 😀 \u200b\u00a0"
_ENCODINGS: Mapping[str, bytes] = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
_STRANGE_LINES = (
    "prompt,answer",
    "2 + 2 =;4",
    "| prompt | answer |",
    "[",
    "{",
    "]",
    "null",
    "42",
    "NaN",
    '"text"',
    "[1, 2]",
    "[" * 5000,
    '{"prompt": ' * 3000,
    '{"prompt": "p", "prompt": "q", "answer": "4"}',
    '{"prompt": "p", "answer": "4", "max_tokens": 1e999}',
    '{"prompt": "p", "answer": "4", "max_tokens": ' + "9" * 5000 + "}",
    '{"prompt": "p", "answer": "\\ud83d"}',
    '{"prompt": "\\udc00", "choices": ["a", "b"], "answer": 0}',
    '{"prompt": "p", "pattern": "a{99999999999}"}',
    '{"prompt": "p", "pattern": "((((((((((a*)*)*)*)*)*)*)*)*)*)*"}',
    '{"prompt": "p", "pattern": "(?i"}',
    '{"prompt": "p", "pattern": "[[a-z]&&[b]]"}',
    '{"prompt": null, "answer": "4"}',
    "{'prompt': 'p', 'answer': '4'}",
    '{"prompt": "p", "answer": "4"},',
    '{"prompt": "p", "answer": "4"}{"prompt": "q", "answer": "4"}',
    "\ufeff",
    "\x0c",
    "\x1a",
    "# a remark",
    "<!DOCTYPE html>",
)


def broken(seed: int, files: int = FILES) -> list[str]:
    """Prints how files of questions were read, and returns what was read wrongly."""
    ways: Counter[str] = Counter()
    found = []
    with tempfile.TemporaryDirectory(prefix="odllm-questions-") as folder:
        path = Path(folder) / "mine.jsonl"
        for number in range(files):
            chance = random.Random(f"{seed}-{number}")
            path.write_bytes(_file(chance))
            outcome, wrong = _read(path)
            ways[outcome] += 1
            found += [f"questions {seed}-{number}: {each}" for each in wrong]
    told = ", ".join(f"{n:,} {way}" for way, n in ways.most_common())
    print(f"{files:,} files of questions: {told}; {len(found)} wrong")
    print("\n".join(found[:20]))
    return found


def _file(chance: random.Random) -> bytes:
    lines = [json.dumps(_question(chance), ensure_ascii=chance.random() < 0.3) for _ in range(4)]
    spoilt = chance.random() < 0.7
    if spoilt and chance.random() < 0.7:
        lines = _other_lines(lines, chance)
    elif chance.random() < 0.15:
        return _written(_as_list(lines, chance), chance)
    end = chance.choice(["\n", "\r\n"])
    blank = [line for each in lines for line in ([each, ""] if chance.random() < 0.2 else [each])]
    content = _written(end.join(blank) + end * chance.randrange(3), chance)
    return _other_bytes(content, chance) if spoilt and chance.random() < 0.5 else content


def _as_list(lines: Sequence[str], chance: random.Random) -> str:
    return json.dumps([json.loads(line) for line in lines], indent=chance.choice([None, 2]))


def _question(chance: random.Random) -> dict[str, Any]:
    prompt = "p" + _words(chance)
    kind = chance.randrange(3)
    if kind == 0:
        choices = [f"{number}{_words(chance)}" for number in range(chance.randrange(2, 5))]
        return {"prompt": prompt, "choices": choices, "answer": chance.randrange(len(choices))}
    if kind == 1:
        return {"prompt": prompt, "answer": "a" + _words(chance), "max_tokens": 3}
    return {"prompt": prompt, "pattern": r"\d+", "stop": ["END"]}


def _words(chance: random.Random) -> str:
    return "".join(chance.choices(_LETTERS, k=chance.randrange(20)))


def _written(text: str, chance: random.Random) -> bytes:
    encoding = chance.choice(["utf-8", "utf-8", *_ENCODINGS])
    # What has no mark is told by its first letters, but for UTF-32.
    marked = chance.random() < 0.6 or "32" in encoding
    return (_ENCODINGS[encoding] if marked else b"") + text.encode(encoding)


def _other_lines(lines: Sequence[str], chance: random.Random) -> list[str]:
    found = list(lines)
    for _ in range(chance.randrange(1, 3)):
        at = chance.randrange(len(found))
        match chance.randrange(4):
            case 0:
                found[at] = chance.choice(_STRANGE_LINES)
            case 1:
                found.insert(at, chance.choice(_STRANGE_LINES))
            case 2:
                cut = chance.randrange(len(found[at]) + 1)
                found[at : at + 1] = [found[at][:cut], found[at][cut:]]
            case _:
                found[at] = found[at].replace(*chance.choice([('"', "'"), (":", "="), (",", ";")]))
    return found


def _other_bytes(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    match chance.randrange(4):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
        case 2:
            return content[:at] + chance.randbytes(chance.randrange(1, 9)) + content[at:]
        case _:
            return content[:at] + content[at + chance.randrange(1, 40) :]


def _read(path: Path) -> tuple[str, list[str]]:
    """How a file was read, and what was wrong about that."""
    start = time.monotonic()
    try:
        questions = read_questions(str(path))
    except OdllmError as error:
        return "refused", [*_refused_wrongly(path, error), *_late(start)]
    except Exception:  # noqa: BLE001 - each is a fault
        return "broke", [traceback.format_exc()]
    return "read", [*_read_wrongly(path.read_bytes(), questions), *_late(start)]


def _late(start: float) -> list[str]:
    took_s = time.monotonic() - start
    return [f"it took {took_s:.0f} s"] if took_s > _LONGEST_S else []


def _refused_wrongly(path: Path, error: OdllmError) -> list[str]:
    wrong = []
    if str(path) not in error.message or not error.remedy:
        wrong.append(f"neither file nor remedy is told: {error}")
    if not any(word in error.message for word in ("line ", "question ", " questions, and two")):
        wrong.append(f"no line is told: {error}")
    expected = _expected(path.read_bytes())
    if expected is not None and all(map(_is_plain, expected)) and len(expected) > 1:
        wrong.append(f"a good file was refused: {error}")
    return wrong


def _read_wrongly(content: bytes, questions: Sequence[Question]) -> list[str]:
    expected = _expected(content)
    if expected is None:
        return ["something was read that is no JSON"]
    prompts = [each.get("prompt") for each in expected]
    if [question.prompt for question in questions] != prompts:
        return [f"{len(questions)} questions were read of {len(prompts)}"]
    return []


def _is_plain(content: Mapping[str, Any]) -> bool:
    """Whether a question is one of those that were made up, as far as can be seen."""
    kinds = ({"prompt", "choices", "answer"}, {"prompt", "answer", "max_tokens"})
    whole = not re.search("[\ud800-\udfff]", json.dumps(content, ensure_ascii=False))
    return whole and content.keys() in (*kinds, {"prompt", "pattern", "stop"}) and _fits(content)


def _fits(content: Mapping[str, Any]) -> bool:
    choices, answer = content.get("choices"), content.get("answer")
    if choices is not None:
        texts = isinstance(choices, list) and all(
            isinstance(each, str) and each for each in choices
        )
        return texts and len(set(choices)) == len(choices) > 1 and answer in range(len(choices))
    return isinstance(content["prompt"], str) and content.get("max_tokens", 3) == 3


def _expected(content: bytes) -> list[dict[str, Any]] | None:
    """What a file holds by another reader, which knows the encodings and nothing of questions."""
    for read in (_whole, _by_line):
        for text in _texts(content):
            found = read(text)
            if found is not None:
                return found
    return None


def _texts(content: bytes) -> list[str]:
    readers: list[Callable[[], str]] = [
        lambda: content.decode("utf-32") if content[:4] in _UTF32 else _refuse(),
        lambda: content.decode("utf-16") if content[:2] in _UTF16 else _refuse(),
        lambda: content.decode("utf-8-sig"),
        lambda: content.decode("utf-16-le"),
        lambda: content.decode("utf-16-be"),
    ]
    found = []
    for reader in readers:
        try:
            found.append(reader())
        except UnicodeError:
            continue
    return found


_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def _refuse() -> str:
    raise UnicodeError


def _whole(text: str) -> list[dict[str, Any]] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_list = isinstance(found, list) and all(isinstance(each, dict) for each in found)
    return found if is_list else None


def _by_line(text: str) -> list[dict[str, Any]] | None:
    found = []
    for line in text.replace("\r", "\n").split("\n"):
        if line.strip("\ufeff \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u2028\u2029\u3000"):
            try:
                found.append(json.loads(line.strip().lstrip("\ufeff")))
            except (ValueError, RecursionError):
                return None
    return found if all(isinstance(each, dict) for each in found) else None


def main() -> int:
    """Reads files and prints what came of it.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.questions", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, help="another one every time unless told")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    return 1 if broken(seed, options.files) else 0


if __name__ == "__main__":
    sys.exit(main())
