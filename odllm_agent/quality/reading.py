"""Reading a text: one pass over its windows gives every score that is wanted of it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from odllm_agent import engines
from odllm_agent.contract import QualityCheck, Reading, Score
from odllm_agent.engines.base import Session
from odllm_agent.errors import UsageError
from odllm_agent.host import state
from odllm_agent.host.memory_fit import with_spare
from odllm_agent.quality import divergence
from odllm_agent.quality.divergence import Divergence, compare
from odllm_agent.quality.perplexity import PerToken, perplexity, surprises
from odllm_agent.texts.text import read_text

_GB = 1e9


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text that is read in one go.

    Attributes:
        tokens: What the model is given.
        first: The position from which on its predictions count.
        targets: The tokens that come after those positions.
    """

    tokens: Sequence[int]
    first: int
    targets: Sequence[int]


def evaluate(check: QualityCheck, reading: Reading) -> tuple[Score, ...]:
    """Reads a text and gives the scores that were asked for.

    The base runs beside the model, window by window, so that nothing of its predictions has to be
    kept. Where there is no base, or no room for it, the scores that need it carry the reason.

    Raises:
        UsageError: The text is unknown, too short, or no longer the one that was planned.
        DataMissing: The text cannot be fetched.
        EngineError: The engine refuses the model or the base.
    """
    text = read_text(reading.text, reading.sha256)
    reason = _why_not_compared(check)
    with ExitStack() as opened:
        session = opened.enter_context(
            engines.load(check.engine, check.model, reading.window_tokens)
        )
        parts = windows(session.tokenize(text), reading, session.start_token)
        base = None if reason else _base(check, reading, session, opened)
        return scores(reading.metrics, read(session, parts, base), reason)


def windows(tokens: Sequence[int], reading: Reading, start_token: int | None) -> list[Window]:
    """Cuts a text as llama-perplexity does.

    The windows are of equal size and follow one another; what is left over at the end is not read.
    In each, the second half is predicted, so that every prediction rests on at least half a window.
    Where a model wants a token at the start of a text, it stands in front of the text, and in
    place of the first token of every window.

    Raises:
        UsageError: The text is shorter than one window.
    """
    size = reading.window_tokens
    whole = tokens if start_token is None else [start_token, *tokens]
    if len(whole) < size:
        raise UsageError(
            f"the text {reading.text} has {len(whole)} tokens, fewer than one window of {size}",
            "take a longer text or a smaller quality.window_tokens",
        )
    starts = range(0, len(whole) - size + 1, size)[: reading.max_windows]
    return [_window(whole[start : start + size], start_token) for start in starts]


def read(
    session: Session, parts: Sequence[Window], base: Session | None = None
) -> PerToken | Divergence:
    """Reads a text window by window.

    Args:
        session: The model.
        parts: The text.
        base: The model to compare with, which may be the same, or `None`.

    Returns:
        The surprise at each token, or the whole comparison with the base.
    """
    if base is not None:
        return divergence.joined(list(_compared(session, base, parts)))
    return np.concatenate(
        [surprises(session.logits(part.tokens, part.first)[:-1], part.targets) for part in parts]
    )


def scores(
    metrics: Sequence[str], found: PerToken | Divergence, reason: str = ""
) -> tuple[Score, ...]:
    """The scores of a text, in the order in which they were asked for.

    Args:
        metrics: Their names.
        found: The surprise at each token, or the whole comparison with a base.
        reason: Why there is no comparison.
    """
    return tuple(_score(metric, found, reason) for metric in metrics)


def _score(metric: str, found: PerToken | Divergence, reason: str) -> Score:
    if isinstance(found, Divergence):
        if metric == "perplexity":
            return perplexity(found.surprise)
        return divergence.SCORES[metric](found)
    if metric == "perplexity":
        return perplexity(found)
    return Score(metric, None, None, 0, reason)


def _window(tokens: Sequence[int], start_token: int | None) -> Window:
    first = len(tokens) // 2
    given = tokens if start_token is None else [start_token, *tokens[1:]]
    return Window(given, first, tokens[first + 1 :])


def _base(
    check: QualityCheck, reading: Reading, session: Session, opened: ExitStack
) -> Session | None:
    """The base, loaded; the unquantized file is its own."""
    if check.base is None or check.base.sha256 == check.model.sha256:
        return session if check.base else None
    return opened.enter_context(engines.load(check.engine, check.base, reading.window_tokens))


def _compared(session: Session, base: Session, parts: Sequence[Window]) -> Iterator[Divergence]:
    for part in parts:
        logits = session.logits(part.tokens, part.first)[:-1]
        # A base of its own needs to be read once only.
        other = logits if base is session else base.logits(part.tokens, part.first)[:-1]
        yield compare(logits, other, part.targets)


def _why_not_compared(check: QualityCheck) -> str:
    if check.base is None or check.base.sha256 == check.model.sha256:
        return check.base_reason
    needed_bytes = with_spare(check.model.file_bytes) + with_spare(check.base.file_bytes)
    available_bytes = state.available_bytes()
    if needed_bytes <= available_bytes:
        return ""
    return (
        f"the unquantized file has to run beside this one, which needs {needed_bytes / _GB:,.2f} "
        f"GB of memory, and {available_bytes / _GB:,.2f} GB are free"
    )
