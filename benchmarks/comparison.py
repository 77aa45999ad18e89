"""ODLLM and llama-bench in turn on the same file with the same settings."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import llama_bench
from benchmarks.load import watched
from benchmarks.spread import Spread
from benchmarks.subject import Subject
from odllm_agent import worker
from odllm_agent.contract import (
    Device,
    Engine,
    Measurement,
    ModelFile,
    RepeatPolicy,
    Trial,
    Workload,
)
from odllm_agent.errors import EngineError
from odllm_agent.settings import LlamaCppSettings

PROMPT_TOKENS, OUTPUT_TOKENS = 128, 64
WORKLOAD = Workload("short", PROMPT_TOKENS, OUTPUT_TOKENS)

# ODLLM's decode follows its prompt, so llama-bench's starts at that depth too.
PREFILL = llama_bench.Window(prompt_tokens=PROMPT_TOKENS)
DECODE = llama_bench.Window(output_tokens=OUTPUT_TOKENS, depth_tokens=PROMPT_TOKENS)


@dataclass(frozen=True, slots=True)
class Speed:
    """What one side measured in one pair: medians over its repeats, in tokens per second."""

    prefill_tok_s: float
    decode_tok_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, measured right after each other.

    Attributes:
        ours: ODLLM's worker.
        theirs: llama-bench.
        flags: What disturbed the pair, such as `busy`.
    """

    ours: Speed
    theirs: Speed
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """All pairs of one file.

    Attributes:
        subject: The file with its limits.
        pairs: In the order in which they were measured.
    """

    subject: Subject
    pairs: tuple[Pair, ...]

    def counted(self) -> tuple[Pair, ...]:
        """The pairs that nothing disturbed, or all of them if each was disturbed."""
        return tuple(pair for pair in self.pairs if not pair.flags) or self.pairs

    def prefill_ratio(self) -> Spread:
        """Ours / llama-bench."""
        pairs = self.counted()
        return Spread.of([pair.ours.prefill_tok_s / pair.theirs.prefill_tok_s for pair in pairs])

    def decode_ratio(self) -> Spread:
        """Ours / llama-bench."""
        pairs = self.counted()
        return Spread.of([pair.ours.decode_tok_s / pair.theirs.decode_tok_s for pair in pairs])

    def unmet(self) -> tuple[str, ...]:
        """Each wanted limit that is not met, in words."""
        ratios = {"prefill": self.prefill_ratio(), "decode": self.decode_ratio()}
        least, most = self.subject.least_ratio, self.subject.most_ratio
        return tuple(
            f"{self.subject.model.name}: {phase} is {ratio.median:.3f} of llama-bench, wanted "
            + (f"at least {least}" if most is None else f"{least} to {most}")
            for phase, ratio in ratios.items()
            if ratio.median < least or (most is not None and ratio.median > most)
        )


def trial(model: ModelFile, device: Device, threads: int) -> Trial:
    """A trial of the reference sweep's workload, with llama-bench's defaults as settings."""
    settings = dataclasses.asdict(LlamaCppSettings(threads=threads))
    engine = Engine("llama_cpp", device.engines["llama_cpp"], settings)
    return Trial(device.id, model, engine, WORKLOAD)


def compare(
    subject: Subject, subject_trial: Trial, tool: Path, pairs: int, tell: Callable[[Pair], None]
) -> Comparison:
    """Measures both sides in turn, each first in every other pair.

    Pairs beside other load are kept, marked, and measured again; twice as many as asked for are
    the most.

    Args:
        subject: What to compare on.
        subject_trial: ODLLM's side.
        tool: llama-bench.
        pairs: How many undisturbed pairs are wanted.
        tell: Takes each pair as it is measured.
    """
    found: list[Pair] = []
    while len(found) < 2 * pairs and sum(not pair.flags for pair in found) < pairs:
        pair = _pair(subject, subject_trial, tool, ours_first=len(found) % 2 == 0)
        found.append(pair)
        tell(pair)
    return Comparison(subject, tuple(found))


def _pair(subject: Subject, subject_trial: Trial, tool: Path, *, ours_first: bool) -> Pair:
    with watched() as disturbance:
        if ours_first:
            ours = _ours(subject_trial, subject.repeats)
            theirs = _theirs(subject_trial, tool, subject.repeats)
        else:
            theirs = _theirs(subject_trial, tool, subject.repeats)
            ours = _ours(subject_trial, subject.repeats)
    return Pair(ours, theirs, disturbance.flags)


def _ours(subject_trial: Trial, repeats: int) -> Speed:
    """The worker's speed over a fixed number of repeats: the whole path that a trial takes."""
    policy = RepeatPolicy(warmups=1, at_least=repeats, at_most=repeats)
    result = worker.run_round(Measurement(subject_trial, 0, policy))
    if result.failure:
        raise EngineError(result.failure.message, result.failure.remedy)
    measured = [repeat for repeat in result.repeats if not repeat.warmup]
    return _medians(
        [PROMPT_TOKENS / repeat.prefill_s for repeat in measured],
        [repeat.decode_tok_s for repeat in measured],
    )


def _theirs(subject_trial: Trial, tool: Path, repeats: int) -> Speed:
    settings = LlamaCppSettings(**subject_trial.engine.settings)  # type: ignore[arg-type]
    model = Path(subject_trial.model.path)
    prefill, decode = (
        llama_bench.run(tool, settings, model, window, repeats) for window in (PREFILL, DECODE)
    )
    for answer in (prefill, decode):
        _check_commit(answer.commit, subject_trial.engine.version)
    return _medians(prefill.tok_s, decode.tok_s)


def _check_commit(commit: str, version: str) -> None:
    if commit not in version:
        raise EngineError(
            f"llama-bench is of commit {commit}, and the installed llama.cpp is {version}",
            "remove the folder `bench` of ODLLM's cache; it is built anew",
        )


def _medians(prefill_tok_s: Sequence[float], decode_tok_s: Sequence[float]) -> Speed:
    return Speed(statistics.median(prefill_tok_s), statistics.median(decode_tok_s))
