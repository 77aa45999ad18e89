"""What a model says: how likely a continuation is to it, and how it would go on itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odllm_agent.engines.base import Session
from odllm_agent.errors import UsageError
from odllm_agent.quality.perplexity import Logits, refuse_no_numbers, surprises


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a continuation is.

    Attributes:
        log_p: The log of its probability after its context, in nats.
        is_greedy: Whether the model would have gone on so itself.
    """

    log_p: float
    is_greedy: bool


class Speaker:
    """A session that speaks in text instead of token ids, by lm-eval's conventions.

    Args:
        session: The model.
        context_tokens: The size of its context.

    Attributes:
        context_tokens: The size of its context.
    """

    def __init__(self, session: Session, context_tokens: int) -> None:
        self.context_tokens = context_tokens
        self._session = session
        self._last: tuple[list[int], int, Logits] | None = None

    def tokens(self, text: str) -> list[int]:
        """The token ids of a text, behind the start token where the model wants one."""
        start = self._session.start_token
        return [*([] if start is None else [start]), *self._session.tokenize(text)]

    def likelihood(self, context: str, continuation: str) -> Likelihood:
        """How likely a continuation is after a context.

        Both are tokenized as one text, because a word may be cut in another way behind a space;
        white space at the context's end counts to the continuation.

        Raises:
            UsageError: Nothing is left to be predicted.
        """
        kept = context.rstrip()
        continuation = context[len(kept) :] + continuation
        whole = self.tokens(kept + continuation)
        return self.predicted(whole, len(self.tokens(kept)))

    def predicted(self, tokens: Sequence[int], n_context: int) -> Likelihood:
        """How likely tokens are after the first of them.

        Without any context, the first token cannot be predicted and does not count. What does not
        fit into the model's context is left out at the front.

        Args:
            tokens: The context and the continuation.
            n_context: How many of them are the context.

        Raises:
            UsageError: Nothing is left to be predicted.
        """
        fitting = list(tokens[-self.context_tokens - 1 :])
        first = max(n_context - (len(tokens) - len(fitting)), 1)
        targets = fitting[first:]
        if not targets:
            raise UsageError(
                "a continuation has no tokens of its own after its context",
                "a choice must not be empty, nor vanish in the last word of its prompt",
            )
        logits = self._logits(fitting[:-1], first - 1)
        return Likelihood(
            log_p=-float(surprises(logits, targets).sum()),
            is_greedy=bool((logits.argmax(axis=1) == np.asarray(targets)).all()),
        )

    def answer(self, prompt: str, stop: Sequence[str], max_tokens: int) -> str:
        """How the model goes on, the likeliest token each time.

        Args:
            prompt: What it is given; what does not fit in front of an answer is left out.
            stop: The answer ends before the first of these.
            max_tokens: The answer ends after so many tokens.

        Raises:
            UsageError: The prompt is empty.
        """
        room = min(max_tokens, self.context_tokens - 1)
        given: Sequence[int] = self.tokens(prompt)[-(self.context_tokens - room) :]
        if not given:
            raise UsageError("a prompt has no tokens", "a model can only answer to something")
        said: list[int] = []
        self._session.reset()
        while len(said) < room:
            logits = self._session.extend(given)
            token = int(logits.argmax())
            refuse_no_numbers(logits[token])
            if self._session.ends(token):
                break
            said.append(token)
            text = self._session.detokenize(said)
            if any(word in text for word in stop):
                return text[: min(text.index(word) for word in stop if word in text)]
            given = [token]
        return self._session.detokenize(said)

    def _logits(self, tokens: list[int], first: int) -> Logits:
        """The logits, computed once where choices of one token follow the same context."""
        if self._last is None or self._last[:2] != (tokens, first):
            self._last = (tokens, first, self._session.logits(tokens, first))
        return self._last[2]
