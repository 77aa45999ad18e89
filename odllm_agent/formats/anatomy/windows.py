"""Which blocks look back at a window of tokens only.

A header states the window, and for each block whether it has one, or how often a block without one
comes. Where it states only the window, llama.cpp supplies the rest by the architecture's name
(`load_arch_hparams` in its `src/models`); of an architecture that is not named there it reads no
window at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from odllm_agent.contract import ENDLESS
from odllm_agent.formats.anatomy.blocks import Untold
from odllm_agent.formats.hyperparameters import Hyperparameters

_WINDOW, _PATTERN = "attention.sliding_window", "attention.sliding_window_pattern"


@dataclass(frozen=True, slots=True)
class Habit:
    """Where an architecture has its blocks without a window, unless a header says otherwise.

    Attributes:
        period: One block of so many has none; 0 if all have one, `None` if only a header tells.
        first: Whether it is the first of them, and not the last.
        tokens: The window, if a header need not state it.
        least_blocks: Models of fewer blocks have no window at all.
    """

    period: int | None
    first: bool = False
    tokens: int = 0
    least_blocks: int = 0


_HABITS: Mapping[str, Habit] = {
    "afmoe": Habit(4),
    "cohere2": Habit(4),
    "cohere2moe": Habit(4, first=True),
    "exaone-moe": Habit(4),
    "exaone4": Habit(4, tokens=4096, least_blocks=64),
    "gemma2": Habit(2, tokens=4096),
    "gemma3": Habit(6),
    "gemma3n": Habit(5),
    "gemma4": Habit(None),
    "gpt-oss": Habit(2),
    "granite_swa": Habit(None),
    "laguna": Habit(4, first=True),
    "lfm2": Habit(0),
    "maple": Habit(None),
    "mellum": Habit(4),
    "mimo2": Habit(None),
    "muse-glimmer": Habit(4),
    "olmo2": Habit(4),
    "plamo3": Habit(8),
    "smallthinker": Habit(4, first=True),
    "spark2_5": Habit(None),
    "step35": Habit(None),
}
_CHUNKED = frozenset({"llama4"})


def windows(of: Hyperparameters) -> tuple[int, ...]:
    """How many tokens each block looks back at, a token itself among them; `ENDLESS` for all.

    Raises:
        Untold: The architecture cuts the tokens in chunks, or which blocks have a window is not
            stated.
    """
    if of.architecture in _CHUNKED:
        raise Untold("its attention looks back at chunks of the context")
    habit = _HABITS.get(of.architecture)
    tokens = of.count(_WINDOW, habit.tokens) if habit else 0
    if habit is None or not tokens or of.n_blocks < habit.least_blocks:
        return (ENDLESS,) * of.n_blocks
    return tuple(tokens if each else ENDLESS for each in _has_window(of, habit))


def _has_window(of: Hyperparameters, habit: Habit) -> tuple[bool, ...]:
    stated = of.by_block(_PATTERN)
    if stated is not None and len(stated) >= of.n_blocks:
        return tuple(map(bool, stated[: of.n_blocks]))
    period = of.count(_PATTERN, -1 if habit.period is None else habit.period)
    if stated is not None or period < 0:
        raise Untold("which of its blocks have a sliding window is not stated")
    without = 0 if habit.first else period - 1
    return tuple(not period or block % period != without for block in range(of.n_blocks))
