"""Whether anything else ran on this machine while something was measured."""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import DeviceState
from odllm_agent.host import disturbance, state


@dataclass(slots=True)
class Disturbance:
    """What disturbed a block of work, known once the block has ended.

    Attributes:
        flags: What disturbed it, as in a trial's repeats.
    """

    flags: tuple[str, ...] = field(default=())


@contextmanager
def watched() -> Iterator[Disturbance]:
    """Watches the device while this process and its children work."""
    found = Disturbance()
    before, start = _state(), monotonic_ns()
    yield found
    wall_s, after = seconds_since(start), _state()
    found.flags = disturbance.flags(before, after, wall_s, state.logical_cores())


def _state() -> DeviceState:
    """The device's state, the work of ended children counted as this process's own."""
    return dataclasses.replace(state.read_state(), own_cpu_s=sum(os.times()[:4]))
