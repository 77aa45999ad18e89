"""When a round takes no more repeats of a trial."""

import statistics

from odllm_agent.contract import RepeatPolicy, Stopped
from odllm_agent.statistics.order_statistics import median_interval


def stopped(policy: RepeatPolicy, n_measured: int, speeds: list[float]) -> Stopped | None:
    """Why a round takes no more repeats, or `None` if it takes another.

    Args:
        policy: How often to repeat.
        n_measured: The repeats that the round has, without warm-ups.
        speeds: Decode speeds of the trial, those of earlier rounds among them.
    """
    if n_measured < policy.at_least:
        return None
    width = interval_width(speeds)
    if width is not None and width <= policy.interval_target:
        return Stopped.NARROW
    return Stopped.CAP if n_measured >= policy.at_most else None


def interval_width(values: list[float]) -> float | None:
    """The full width of the 95 % interval of the median, as a fraction of the median."""
    interval = median_interval(values)
    return (interval[1] - interval[0]) / statistics.median(values) if interval else None
