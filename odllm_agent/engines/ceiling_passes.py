"""Passes that a ceiling is told by: only the quickest counts, the rest was disturbed."""

from collections.abc import Callable

from odllm_agent.clock import monotonic_ns, seconds_since

WIDTH, TOKENS = 2048, 256
"""The width of the square matrix of weights that every engine multiplies, and with how many tokens.

It is as wide as a model of some 3B weights is, and computing outweighs reading by far. A larger
product would take a slow processor a second.
"""

OPERATIONS = 2 * WIDTH * WIDTH * TOKENS
"""A multiplication and an addition for each weight and token."""

_LEAST_PASSES = 3


def best_per_s(amount: float, run: Callable[[], object], budget_s: float) -> float:
    """How much the quickest pass did per second.

    Args:
        amount: What a pass does, in any unit.
        run: Does it once.
        budget_s: The time after which no further pass begins, once there were three.
    """
    run()
    start, times_s = monotonic_ns(), list[float]()
    while len(times_s) < _LEAST_PASSES or seconds_since(start) < budget_s:
        began = monotonic_ns()
        run()
        times_s.append(seconds_since(began))
    return amount / min(times_s)
