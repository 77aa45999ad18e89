"""Letting a device cool down between two trials, so that none begins with the other's heat."""

import time

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Cooldown
from odllm_agent.errors import SettingError
from odllm_agent.host import state

# Heat sinks take seconds to cool, and looking more often would keep a core awake.
_LOOK_EVERY_S = 0.5


def wait(asked: Cooldown) -> float:
    """Waits as an experiment asks.

    Args:
        asked: What to wait for.

    Returns:
        The seconds that were waited.

    Raises:
        SettingError: A temperature is to be waited for, and the device tells none.
    """
    start = monotonic_ns()
    if asked.pause_s:
        time.sleep(asked.pause_s)
    while asked.below_c is not None and _temperature_c() >= asked.below_c:
        left_s = asked.at_most_s + asked.pause_s - seconds_since(start)
        if left_s <= 0:
            break
        time.sleep(min(_LOOK_EVERY_S, left_s))
    return seconds_since(start)


def _temperature_c() -> float:
    temperature_c = state.temperature_c()
    if temperature_c is None:
        raise SettingError(
            "cooldown.below_c cannot be had: this device does not tell its temperature",
            "set cooldown.below_c to null; cooldown.pause_s waits for a time",
        )
    return temperature_c
