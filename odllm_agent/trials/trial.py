"""One trial in one round: load, warm up, measure until the answer is narrow, report."""

import gc
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from odllm_agent import engines, meters
from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import (
    Finished,
    Loaded,
    Measurement,
    Phase,
    Repeat,
    RepeatPolicy,
    Trial,
    Workload,
)
from odllm_agent.engines.base import Session
from odllm_agent.engines.floor import work
from odllm_agent.errors import ModelInvalid
from odllm_agent.host import disturbance, state
from odllm_agent.meters.memory import held_memory, peak_rss_bytes
from odllm_agent.meters.sampler import Sampler, spare_cpu
from odllm_agent.trials.stopping import interval_width, stopped

T = TypeVar("T")
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
    engine = order.trial.engine
    engines.prepare(engine, order.trial.model)
    threads = int(engine.settings.get("threads", 0))
    with (
        Sampler(meters.open_meters(order.meters), spare_cpu(threads)) as sampler,
        _loaded(order.trial, sampler, say) as session,
    ):
        tokens = draw_tokens(order.trial.workload, session.vocabulary)
        # A collection in the middle of a window would be measured as if it were the model's.
        gc.disable()
        speeds = list(order.earlier_decode_tok_s)
        n_measured = 0
        for repeat in _repeats(session, tokens, sampler, order.policy):
            say(repeat)
            if not repeat.warmup:
                speeds.append(repeat.decode_tok_s)
                n_measured += 1
            reason = stopped(order.policy, n_measured, speeds)
            if reason:
                width = interval_width(speeds)
                finished = Finished(reason, width, peak_rss_bytes(), held_memory(session.folder))
                # Looked at last, since it takes memory of its own.
                _refuse_unsound(session, order.trial)
                say(finished)
                return


def _refuse_unsound(session: Session, trial: Trial) -> None:
    """Checks that what was timed was a model: random weights need not make sense, others must.

    Raises:
        ModelInvalid: What it computed is not.
    """
    if not trial.model.no_quality and not session.is_sound():
        raise ModelInvalid(
            f"{trial.model.path} gives no numbers, or the same for every token, on "
            f"{trial.engine.name}: its weights are damaged, or the engine computes wrongly",
            "get the file again; `odllm-agent doctor` tells what of the engine works here",
        )


@contextmanager
def _loaded(trial: Trial, sampler: Sampler, say: Say) -> Iterator[Session]:
    """The model with an empty context, once its load was told."""
    began = monotonic_ns()
    sampler.begin()
    start = monotonic_ns()
    with engines.load(trial.engine, trial.model, trial.workload.context_tokens) as session:
        load_s, window = seconds_since(start), sampler.cut()
        say(
            Loaded(
                load_s=load_s,
                runtime_bpw=session.runtime_bpw,
                system=session.system,
                work=work(session.anatomy, session.kv_cache, trial.workload),
                no_work=session.anatomy.reason,
                energy=meters.energies(Phase.LOAD, sampler.meters, *window),
                power=meters.power(Phase.LOAD, sampler.meters, window, began),
            )
        )
        yield session


def _repeats(
    session: Session, tokens: Tokens, sampler: Sampler, policy: RepeatPolicy
) -> Iterator[Repeat]:
    for index in range(policy.warmups + policy.at_most):
        yield _repeat(session, tokens, sampler, index, warmup=index < policy.warmups)


def _repeat(
    session: Session, tokens: Tokens, sampler: Sampler, index: int, *, warmup: bool
) -> Repeat:
    session.reset()
    session.fill(tokens.depth)
    filled, prompted = len(tokens.depth), len(tokens.depth) + len(tokens.prompt)
    started_at, before, start = now(), state.read_state(), monotonic_ns()
    sampler.begin()
    prefills, of_prefill = _metered(
        lambda: session.prefill(tokens.prompt), lambda: session.rewind(filled), sampler
    )
    decodes, of_decode = _metered(
        lambda: session.decode(tokens.output), lambda: session.rewind(prompted), sampler
    )
    wall_s, after = seconds_since(start), state.read_state()
    windows = (
        (Phase.PREFILL, of_prefill, len(prefills)),
        (Phase.DECODE, of_decode, len(decodes)),
    )
    return Repeat(
        index=index,
        warmup=warmup,
        started_at=started_at,
        prefill_s=prefills[0].prefill_s,
        ttft_s=prefills[0].ttft_s,
        token_s=decodes[0],
        energy=tuple(
            energy
            for phase, window, passes in windows
            for energy in meters.energies(phase, sampler.meters, *window, passes=passes)
        ),
        before=before,
        after=after,
        flags=disturbance.flags(before, after, wall_s, os.cpu_count() or 1),
        wall_s=wall_s,
        more_prefill_s=tuple(prefill.prefill_s for prefill in prefills[1:]),
        more_decode_s=tuple(map(sum, decodes[1:])),
        power=tuple(
            sample
            for phase, window, _ in windows
            for sample in meters.power(phase, sampler.meters, window, start)
        ),
    )


def _metered(
    once: Callable[[], T], again: Callable[[], bool], sampler: Sampler
) -> tuple[list[T], tuple[meters.Readings, ...]]:
    """Goes through a phase until its window is long enough for the power meters.

    Args:
        once: Goes through it.
        again: Makes it ready to be gone through once more, if that can be done.
        sampler: Begins the window before and cuts it after.

    Returns:
        What each pass gave, and what was read in the window.
    """
    start = monotonic_ns()
    found = [once()]
    while seconds_since(start) < sampler.long_enough_s and again():
        found.append(once())
    return found, sampler.cut()
