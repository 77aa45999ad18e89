"""One trial in one round: load, warm up, measure until the answer is narrow, report."""

import gc
import os
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from odllm_agent import engines, meters, state
from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import (
    Finished,
    Loaded,
    Measurement,
    Phase,
    Repeat,
    RepeatPolicy,
    Stopped,
    Workload,
)
from odllm_agent.engines.base import Session
from odllm_agent.interval import median_interval
from odllm_agent.meters.memory import held_memory, peak_rss_bytes
from odllm_agent.work import work

Say = Callable[[Loaded | Repeat | Finished], None]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The token ids of a workload.

    Attributes:
        depth: Already in the context when the prompt comes.
        prompt: Handed over in one go.
        output: Handed over one after another.
    """

    depth: tuple[int, ...]
    prompt: tuple[int, ...]
    output: tuple[int, ...]


def draw_tokens(workload: Workload, vocabulary: int) -> Tokens:
    """The token ids of a workload, the same for the same seed and vocabulary.

    A dense model's speed does not depend on which tokens it sees, so random ones do, as in
    llama-bench.
    """
    chance = random.Random(workload.seed)  # noqa: S311 - not a secret
    return Tokens(
        *(
            tuple(chance.randrange(vocabulary) for _ in range(count))
            for count in (workload.depth_tokens, workload.prompt_tokens, workload.output_tokens)
        )
    )


def measure(order: Measurement, say: Say) -> None:
    """Measures one trial in one round and says what it finds as it finds it.

    Args:
        order: What to measure and how often.
        say: Takes the load, each repeat, and the end.

    Raises:
        OdllmError: The engine refuses the model or fails; what was said before stays valid.
    """
    workload = order.trial.workload
    engines.prepare(order.trial.engine, order.trial.model)
    start = monotonic_ns()
    with engines.load(order.trial.engine, order.trial.model, workload.context_tokens) as session:
        say(_loaded(seconds_since(start), session, workload))
        tokens = draw_tokens(workload, session.vocabulary)
        opened = meters.open_meters(order.meters)
        # A collection in the middle of a window would be measured as if it were the model's.
        gc.disable()
        speeds = list(order.earlier_decode_tok_s)
        n_measured = 0
        for repeat in _repeats(session, tokens, opened, order.policy):
            say(repeat)
            if not repeat.warmup:
                speeds.append(repeat.decode_tok_s)
                n_measured += 1
            stopped = _stopped(order.policy, n_measured, speeds)
            if stopped:
                width = interval_width(speeds)
                say(Finished(stopped, width, peak_rss_bytes(), held_memory(session.folder)))
                return


def _loaded(load_s: float, session: Session, workload: Workload) -> Loaded:
    return Loaded(
        load_s=load_s,
        runtime_bpw=session.runtime_bpw,
        system=session.system,
        work=work(session.anatomy, session.kv_cache, workload),
        no_work=session.anatomy.reason,
    )


def interval_width(values: list[float]) -> float | None:
    """The full width of the 95 % interval of the median, as a fraction of the median."""
    interval = median_interval(values)
    return (interval[1] - interval[0]) / statistics.median(values) if interval else None


def _stopped(policy: RepeatPolicy, n_measured: int, speeds: list[float]) -> Stopped | None:
    if n_measured < policy.at_least:
        return None
    width = interval_width(speeds)
    if width is not None and width <= policy.interval_target:
        return Stopped.NARROW
    return Stopped.CAP if n_measured >= policy.at_most else None


def _repeats(
    session: Session, tokens: Tokens, opened: Sequence[meters.Meter], policy: RepeatPolicy
) -> Iterator[Repeat]:
    for index in range(policy.warmups + policy.at_most):
        yield _repeat(session, tokens, opened, index, warmup=index < policy.warmups)


def _repeat(
    session: Session, tokens: Tokens, opened: Sequence[meters.Meter], index: int, *, warmup: bool
) -> Repeat:
    session.reset()
    session.fill(tokens.depth)
    started_at, before, start = now(), state.read_state(), monotonic_ns()
    at_start = meters.read(opened)
    prefill = session.prefill(tokens.prompt)
    at_first_token = meters.read(opened)
    token_s = session.decode(tokens.output)
    at_end = meters.read(opened)
    wall_s, after = seconds_since(start), state.read_state()
    return Repeat(
        index=index,
        warmup=warmup,
        started_at=started_at,
        prefill_s=prefill.prefill_s,
        ttft_s=prefill.ttft_s,
        token_s=token_s,
        energy=(
            *meters.energies(Phase.PREFILL, opened, at_start, at_first_token),
            *meters.energies(Phase.DECODE, opened, at_first_token, at_end),
        ),
        before=before,
        after=after,
        flags=state.flags(before, after, wall_s, os.cpu_count() or 1),
        wall_s=wall_s,
    )
