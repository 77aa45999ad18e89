"""ODLLM and an engine's own tool in turn on the same file with the same settings."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import turns
from benchmarks.load import watched
from benchmarks.peer import OUTPUT_TOKENS, PROMPT_TOKENS, Peer, Speed
from benchmarks.spread import Spread
from benchmarks.subject import Subject
from odllm_agent.contract import (
    Device,
    Engine,
    Measurement,
    ModelFile,
    RepeatPolicy,
    Scalar,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import EngineError
from odllm_agent.trials import worker

WORKLOAD = Workload("short", PROMPT_TOKENS, OUTPUT_TOKENS)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, measured right after each other.

    Attributes:
        ours: ODLLM's worker.
        theirs: The engine's own tool.
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
        peer: The name of the tool that was compared with.
        pairs: In the order in which they were measured.
    """

    subject: Subject
    peer: str
    pairs: tuple[Pair, ...]

    def counted(self) -> tuple[Pair, ...]:
        """The pairs that nothing disturbed, or all of them if each was disturbed."""
        return tuple(turns.counted(self.pairs))

    def prefill_ratio(self) -> Spread:
        """Ours / theirs."""
        pairs = self.counted()
        return Spread.of([pair.ours.prefill_tok_s / pair.theirs.prefill_tok_s for pair in pairs])

    def decode_ratio(self) -> Spread:
        """Ours / theirs."""
        pairs = self.counted()
        return Spread.of([pair.ours.decode_tok_s / pair.theirs.decode_tok_s for pair in pairs])

    def unmet(self) -> tuple[str, ...]:
        """Each wanted limit that is not met, in words."""
        ratios = {"prefill": self.prefill_ratio(), "decode": self.decode_ratio()}
        least, most = self.subject.least_ratio, self.subject.most_ratio
        return tuple(
            f"{self.subject.model.name}: {phase} is {ratio.median:.3f} of {self.peer}, wanted "
            + (f"at least {least}" if most is None else f"{least} to {most}")
            for phase, ratio in ratios.items()
            if ratio.median < least or (most is not None and ratio.median > most)
        )


def trial(model: ModelFile, device: Device, engine: str, **told: Scalar) -> Trial:
    """A trial of the reference sweep's workload, with an engine's defaults but for what is told."""
    settings = check_settings(engine, told)
    return Trial(device.id, model, Engine(engine, device.engines[engine], settings), WORKLOAD)


def compare(
    subject: Subject, subject_trial: Trial, peer: Peer, pairs: int, tell: Callable[[Pair], None]
) -> Comparison:
    """Measures both sides in turn, each first in every other pair.

    Pairs beside other load are kept, marked, and measured again; twice as many as asked for are
    the most.

    Args:
        subject: What to compare on.
        subject_trial: ODLLM's side.
        peer: The tool to compare with.
        pairs: How many undisturbed pairs are wanted.
        tell: Takes each pair as it is measured.
    """
    found: list[Pair] = []
    while len(found) < 2 * pairs and sum(not pair.flags for pair in found) < pairs:
        pair = _pair(subject, subject_trial, peer, ours_first=len(found) % 2 == 0)
        found.append(pair)
        tell(pair)
    return Comparison(subject, peer.name, tuple(found))


def _pair(subject: Subject, subject_trial: Trial, peer: Peer, *, ours_first: bool) -> Pair:
    with watched() as disturbance:
        if ours_first:
            ours = _ours(subject_trial, peer, subject.repeats)
            theirs = peer.speed(subject_trial, subject.repeats)
        else:
            theirs = peer.speed(subject_trial, subject.repeats)
            ours = _ours(subject_trial, peer, subject.repeats)
    return Pair(ours, theirs, disturbance.flags)


def _ours(subject_trial: Trial, peer: Peer, repeats: int) -> Speed:
    """The worker's speed over a fixed number of repeats: the whole path that a trial takes."""
    policy = RepeatPolicy(warmups=1, at_least=repeats, at_most=repeats)
    result = worker.run_round(Measurement(subject_trial, 0, policy))
    if result.failure:
        raise EngineError(result.failure.message, result.failure.remedy)
    measured = [repeat for repeat in result.repeats if not repeat.warmup]
    return Speed(
        statistics.median(PROMPT_TOKENS / peer.prefill_s(repeat) for repeat in measured),
        statistics.median(repeat.decode_tok_s for repeat in measured),
    )
