"""Reading one mutated file after another, and watching what comes of it."""

import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from odllm_agent.contract import Failure
from odllm_agent.errors import OdllmError, WorkerDied, WorkerLate
from odllm_agent.models import Cache, read_header
from tests.fuzz.mutation import Sound, mutated
from tests.fuzz.targets import IN_OTHERS, IN_PROCESS, Subject
from tests.models import Shape, write_gguf, write_split_gguf

SOUND = "ok"
# A header may be endless and is read up to a bound, which takes some seconds.
_LONGEST_S = 30.0
# How a process that was killed is told.
_KILLED = frozenset({WorkerDied.__name__, WorkerLate.__name__})

Target = Callable[[Subject], Failure | None]


@dataclass(slots=True)
class Tally:
    """What came of mutated files.

    Attributes:
        outcomes: How often each target ended how.
        kinds: How often a file with each kind of mutation was described or refused.
        breaches: What must never be, each with the number of its mutation.
        longest_s: The longest that the agent's own process took for one file.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    def add(self, other: "Tally") -> None:
        """Takes another's figures in."""
        self.outcomes += other.outcomes
        self.kinds += other.kinds
        self.breaches += other.breaches
        self.longest_s = max(self.longest_s, other.longest_s)


class Campaign:
    """Mutations that follow from a seed and their number.

    Args:
        seed: What all of them follow from.
        sandbox: An empty folder; all but the cache in it must stay as it is.
        in_process: What reads every file.
        in_others: What reads those that were asked to be read in other processes too.
    """

    def __init__(
        self,
        seed: int,
        sandbox: Path,
        in_process: Mapping[str, Target] = IN_PROCESS,
        in_others: Mapping[str, Target] = IN_OTHERS,
    ) -> None:
        self._seed = seed
        self._sandbox = sandbox
        self._in_process = in_process
        self._in_others = in_others
        self._cache = Cache(sandbox / "cache")
        self._models = _write_models(sandbox / "models")
        outside = str(sandbox / "escaped")
        self._sounds = {
            path: Sound.of(path.read_bytes(), outside) for model in self._models for path in model
        }
        self._headers = {model[0]: read_header(model[0]) for model in self._models}

    def run(self, numbers: Iterable[int], others_every: int = 0) -> Tally:
        """Reads mutated files.

        Args:
            numbers: Those of the mutations.
            others_every: Of how many mutations one is given to other processes; none for 0.
        """
        tally = Tally()
        for number in numbers:
            chance = random.Random(f"{self._seed}/{number}")
            model = chance.choice(self._models)
            path = chance.choice(model)
            kind, content = mutated(self._sounds[path], chance)
            path.write_bytes(content)
            subject = Subject(model[0], self._headers[model[0]], self._cache)
            others = self._in_others if others_every and number % others_every == 0 else {}
            self._read(subject, f"mutation {number} ({kind} of {path.name})", kind, others, tally)
            path.write_bytes(self._sounds[path].content)
        return tally

    def _read(
        self, subject: Subject, told: str, kind: str, others: Mapping[str, Target], tally: Tally
    ) -> None:
        for name, target in {**self._in_process, **others}.items():
            before = self._tree()
            start = time.monotonic()
            ended, breach = _outcome(target, subject)
            taken_s = time.monotonic() - start
            tally.outcomes[name, ended] += 1
            if name in self._in_process:
                tally.longest_s = max(tally.longest_s, taken_s)
            if name == next(iter(self._in_process)):
                tally.kinds[kind, ended] += 1
            breaches = [breach, *self._changes(before)]
            # A process that was killed leaves what it was making, which the next one removes.
            breaches += () if ended in _KILLED else self._left()
            self._tidy()
            if name in self._in_process and taken_s > _LONGEST_S:
                breaches.append(f"took {taken_s:.0f} s")
            tally.breaches += [f"{told}, {name}: {each}" for each in breaches if each]

    def _tree(self) -> dict[Path, tuple[int, int]]:
        """Everything in the sandbox but the cache."""
        found = {}
        for folder, folders, files in os.walk(self._sandbox):
            if Path(folder) == self._sandbox:
                folders[:] = sorted({*folders} - {"cache"})
            for path in (Path(folder, name) for name in (*folders, *files)):
                stat = path.lstat()
                found[path] = (stat.st_size, stat.st_mtime_ns if path.is_file() else 0)
        return found

    def _changes(self, before: Mapping[Path, tuple[int, int]]) -> Iterator[str]:
        after = self._tree()
        for path in before.keys() | after.keys():
            if before.get(path) != after.get(path):
                yield f"{path} was changed"

    def _left(self) -> Iterator[str]:
        """What is unfinished in the cache and will never be finished."""
        for path in self._cache.root.rglob("*"):
            if path.suffix == ".part" or path.parent == self._cache.shelf.unfinished:
                yield f"{path} is left"

    def _tidy(self) -> None:
        for entry in self._cache.entries():
            self._cache.remove(entry)


def _write_models(folder: Path) -> tuple[tuple[Path, ...], ...]:
    """Sound models of several kinds, each with all of its parts."""
    folder.mkdir(parents=True)
    llama = Shape(architecture="llama", rope_factors=True, ffn=512)
    return (
        (write_gguf(folder / "qwen2-F16.gguf"),),
        (write_gguf(folder / "llama-F16.gguf", llama),),
        (write_gguf(folder / "qwen3-F32.gguf", Shape(architecture="qwen3"), kind="F32"),),
        write_split_gguf(folder),
    )


def _outcome(target: Target, subject: Subject) -> tuple[str, str]:
    """How a target ended, and what must not be about it, or nothing."""
    try:
        failure = target(subject)
    except OdllmError as error:
        failure = Failure.of(error)
    except Exception as error:  # noqa: BLE001 - what is looked for
        told = "".join(traceback.format_exception(error))
        return type(error).__name__, f"raised {told}"
    if failure is None:
        return SOUND, ""
    untold = not (failure.kind and failure.message and failure.remedy)
    return failure.kind, f"is told as {failure}" if untold else ""
