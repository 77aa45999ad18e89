"""`python -m tests.fuzz.figures`: mutated files of llama-bench, imported."""

import argparse
import os
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from odllm_controller.cli.importing import Imported, import_file
from odllm_controller.store import Store, read
from odllm_controller.store.imported import Place
from odllm_controller.store.rows import Row
from tests.odllm_controller.exchange.told import FORMS, as_csv, start_of

_LONGEST_S = 10.0
_CHUNK = 250
_SPAN = 400
_PER_FILE = 4
_EXAMPLES = """\
examples:
  python -m tests.fuzz.figures                      10,000 mutated files
  python -m tests.fuzz.figures --seed 7 --only 12   one of them again

Exit status: 0 nothing broke, 1 something did.
"""
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
_LOGS = (
    "ggml_vulkan: 0 = Example GPU | uma: 0 | fp16: 0",
    "[INFO] loading: 10 %",
    "main: {n_batch = 2048}",
    'error: "unexpected" quote "',
    "{",
    "]",
    "",
)
_VALUES = (
    *("NaN", "-1", "0", "1e999", "null", "true", '""', "[]", "{}", "99999999999999999999"),
    *("''", "'", '"', ";", ",", "|", "\\", "\0", "\x1b[2J", "\u202e", "\ud800", "build: x (1)"),
)
_STAMPS = """
SELECT strftime(started_at, '%Y-%m-%dT%H:%M:%SZ') AS stamp FROM imported_samples
UNION SELECT strftime(run_started_at, '%Y-%m-%dT%H:%M:%SZ') FROM imported
"""
_STAMP = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:05Z")
_ROW = re.compile(r"^\s*\|.*\| +(?:pp|tg)\d.*$", re.MULTILINE)
_VALUE = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|\b[\d.]+\b')


@dataclass(frozen=True, slots=True)
class Mutated:
    """A file that something happened to.

    Attributes:
        told: What happened to it.
        content: Its bytes.
        encoding: That of its text, as far as it still is one.
    """

    told: str
    content: bytes
    encoding: str

    def text(self) -> str:
        """Its text, as an independent reader would have it."""
        return self.content.decode(self.encoding, "replace")


@dataclass(slots=True)
class Tally:
    """What came of mutated files.

    Attributes:
        outcomes: How often each kind was taken whole, in part or not at all.
        breaches: What must never be, each with the number of its mutation.
        longest_s: The most time of a processor that one file took.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    def add(self, other: "Tally") -> None:
        """Takes another's figures in."""
        self.outcomes += other.outcomes
        self.breaches += other.breaches
        self.longest_s = max(self.longest_s, other.longest_s)


def mutated(seed: int, number: int) -> Mutated:
    """The mutation of a number; its tests have times that no other mutation's have."""
    chance = random.Random(f"{seed}/{number}")
    form = chance.choice(list(FORMS))
    text = _written(form, number, chance)
    done = []
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        name = chance.choice(list(_MUTATIONS))
        text = _MUTATIONS[name](text, chance)
        done.append(name)
    encoding = chance.choice(_ENCODINGS)
    content = text.encode(encoding, "surrogatepass")
    if chance.random() < 0.2:
        content = _bytes(content, chance)
        done.append("bytes")
    return Mutated(f"{form}, {encoding}: {', '.join(done) or 'as it is'}", content, encoding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory(Store):
    """A store that keeps only what can be asked of it here: the real one takes a second a file."""

    types: dict[str, str]
    rows: dict[str, Row] = field(default_factory=dict)
    rounds: dict[str, tuple[str, list[Row]]] = field(default_factory=dict)

    def imported_types(self) -> dict[str, str]:
        return self.types

    def imported_rounds(self, rounds: Collection[str]) -> dict[str, str]:
        return {each: self.rounds[each][0] for each in rounds if each in self.rounds}

    def imported_akin(self, row_ids: Collection[str], n_common: int) -> int:
        begun = [row_id[:n_common] for row_id in self.rows.keys() - set(row_ids)]
        return sum(row_id[:n_common] in begun for row_id in row_ids)

    def add_imported(
        self, found: Sequence[Row], samples: Sequence[Row], left: Sequence[Place] = ()
    ) -> None:
        self.rows.update({str(row["row_id"]): row for row in found})
        for sample in samples:
            self.rounds[str(sample["round"])] = (str(sample["row_id"]), [])
        for sample in samples:
            self.rounds[str(sample["round"])][1].append(sample)

    def stamps(self) -> set[str]:
        """The times of all that was stored."""
        kept = [sample for _, samples in self.rounds.values() for sample in samples]
        times = [each["started_at"] for each in kept]
        times += [row["run_started_at"] for row in self.rows.values()]
        return {f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in times if each}


def run(seed: int, numbers: Iterable[int], real_every: int = 0) -> Tally:
    """Imports mutated files into a store.

    Args:
        seed: What all mutations follow from.
        numbers: Those of the mutations.
        real_every: Of how many one is imported into a real store; none for 0.
    """
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="odllm-fuzz-") as folder:
        real = Store.open(Path(folder, "odllm.duckdb"))
        memory = Memory(real.path, types=real.imported_types())
        for number in numbers:
            case = mutated(seed, number)
            store = real if real_every and number % real_every == 0 else memory
            path = Path(folder, f"bench-{number}")
            path.write_bytes(case.content)
            begun = time.process_time()
            ended, breaches = _outcome(path, store, case)
            taken_s = time.process_time() - begun
            tally.longest_s = max(tally.longest_s, taken_s)
            breaches += [f"took {taken_s:.0f} s of a processor"] * (taken_s > _LONGEST_S)
            tally.outcomes[case.told.partition(",")[0], ended] += 1
            tally.breaches += [f"mutation {number} ({case.told}): {each}" for each in breaches]
            path.unlink()
    return tally


def _outcome(path: Path, store: Store, case: Mutated) -> tuple[str, list[str]]:
    try:
        done = import_file(path, store, "fuzz")
        return _told(done), _lost(done, case.text(), store) if done.whole else []
    except Exception as error:  # noqa: BLE001 - what is looked for
        return type(error).__name__, ["".join(traceback.format_exception(error))]


def _told(done: Imported) -> str:
    if done.whole:
        return "whole"
    return "in part" if done.results else "refused"


def _lost(done: Imported, text: str, store: Store) -> list[str]:
    """What a file holds that was neither stored nor told, by a reader that knows no form."""
    stamps = _STAMP.findall(text)
    n_rows = len(_ROW.findall(text))
    # A time whose name was spoilt is none any more.
    named = text.count("test_time") == text.count("n_threads")
    missing = set(stamps) - _stamps(store) if named else set()
    told = [f"{len(stamps)} + {n_rows} records, and {done.results} are told with status 0"]
    lost = [f"{sorted(missing)} are not in the store"]
    nothing = ["0 results with status 0"]
    return (
        told * (done.results < len(stamps) + n_rows)
        + lost * bool(missing)
        + nothing * (done.results == 0)
    )


def _stamps(store: Store) -> set[str]:
    if isinstance(store, Memory):
        return store.stamps()
    return set(read(store.path, _STAMPS)["stamp"].dropna())


def _written(form: str, number: int, chance: random.Random) -> str:
    """A sound file of some tests."""
    n_tests = chance.randint(1, _PER_FILE)
    tests = [_test(number * 2 * _PER_FILE + n, chance) for n in range(n_tests)]
    if form == "csv" and chance.random() < 0.2:
        return as_csv(*tests, delimiter=chance.choice(";\t"))
    return FORMS[form](*tests)


def _test(start: int, chance: random.Random) -> dict[str, object]:
    n_prompt = chance.choice((0, 512))
    day, minute = divmod(start, 24 * 60)
    year, of_year = divmod(day, 336)
    month, of_month = divmod(of_year, 28)
    moment = (
        f"{2026 + year}-{month + 1:02}-{of_month + 1:02}T{minute // 60:02}:{minute % 60:02}:05Z"
    )
    return start_of(
        test_time=moment,
        n_prompt=n_prompt,
        n_gen=0 if n_prompt else 128,
        n_depth=chance.choice((0, 4096)),
        avg_ts=chance.choice((512.0, 32.5)) + start % 97,
    )


def _span(text: str, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(text) + 1)
    return start, min(len(text), start + chance.randint(1, _SPAN))


def _cut(text: str, chance: random.Random) -> str:
    """The beginning or the end of it."""
    place = chance.randrange(len(text) + 1)
    return chance.choice((text[:place], text[place:]))


def _gone(text: str, chance: random.Random) -> str:
    start, end = _span(text, chance)
    return text[:start] + text[end:]


def _twice(text: str, chance: random.Random) -> str:
    start, end = _span(text, chance)
    return text[:end] + text[start:end] + text[end:]


def _character(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text) + 1)
    return text[:place] + chance.choice("\"'{}[],:;|\n\r\t\0\\x9-.\ufeff±") + text[place + 1 :]


def _value(text: str, chance: random.Random) -> str:
    """Another value in the place of one."""
    found = list(_VALUE.finditer(text))
    if not found:
        return text
    chosen = chance.choice(found)
    return text[: chosen.start()] + chance.choice(_VALUES) + text[chosen.end() :]


def _log(text: str, chance: random.Random) -> str:
    """Messages between its lines."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 5)):
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(_LOGS))
    return "\n".join(lines)


def _lines(text: str, chance: random.Random) -> str:
    """A line gone, twice, or in the place of another."""
    lines = text.split("\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(3):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case _:
            lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _appended(text: str, chance: random.Random) -> str:
    """Something of another form behind it, with times that are not its own."""
    start = (10**6 + chance.randrange(10**6)) * _PER_FILE
    other = FORMS[chance.choice(list(FORMS))](_test(start, chance))
    return chance.choice((text + other, other + text, text.rstrip("\n") + other))


def _joined(text: str, chance: random.Random) -> str:
    """Lines that are none any more."""
    return text.replace("\n", chance.choice(("", " ")))


def _line_ends(text: str, chance: random.Random) -> str:
    return text.replace("\n", chance.choice(("\r\n", "\r")))


def _bytes(content: bytes, chance: random.Random) -> bytes:
    """Any bytes of it."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


_MUTATIONS: Mapping[str, Callable[[str, random.Random], str]] = {
    "cut": _cut,
    "gone": _gone,
    "twice": _twice,
    "character": _character,
    "value": _value,
    "log": _log,
    "lines": _lines,
    "appended": _appended,
    "joined": _joined,
    "line ends": _line_ends,
}


def main() -> int:
    """Imports mutated files on all processors and prints what came of it.

    Returns:
        The exit status.
    """
    options, _ = _parser().parse_known_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}, {options.mutations:,} mutated files of llama-bench", flush=True)
    numbers = [options.only] if options.only is not None else range(options.mutations)
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    every = 1 if options.only is not None else options.real_every
    tally = Tally()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for done, part in enumerate(
            pool.map(partial(run, seed, real_every=every), chunks), start=1
        ):
            print(f"\r{done} of {len(chunks)} parts", end="", file=sys.stderr, flush=True)
            tally.add(part)
            for breach in part.breaches:
                print(breach, flush=True)
    _print(tally)
    return 1 if tally.breaches else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.figures",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="another one every time unless told")
    parser.add_argument("--real-every", type=int, default=100, help="0: no real store")
    parser.add_argument("--only", type=int, help="the number of one mutation")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser


def _print(tally: Tally) -> None:
    for form in FORMS:
        ended = {how: n for (of, how), n in tally.outcomes.most_common() if of == form}
        told = ", ".join(f"{how} {n:,}" for how, n in ended.items())
        print(f"  {form:6} {sum(ended.values()):7,}: {told}")
    print(f"\n{len(tally.breaches)} breaches; at most {tally.longest_s:.2f} s for a file")


if __name__ == "__main__":
    sys.exit(main())
