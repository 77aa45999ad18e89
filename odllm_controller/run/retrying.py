"""How often a device is asked again after it was lost over a question or an order."""

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from odllm_agent.contract import AgentApi
from odllm_agent.errors import DispatchError
from odllm_controller.run.asking import Ask
from odllm_controller.run.device_activity import Pause

T = TypeVar("T")
Asking: TypeAlias = Generator[Ask[Any] | Pause, Any, T]
"""What is asked one after another; each ask is sent its answer, or is thrown a `DispatchError`."""

ATTEMPTS = 3
"""A question that is lost is asked twice more, and an order sent twice more."""

UNDERWAY = Ask.of(AgentApi.underway)
"""What a device does now: asked first of one that is back, since it answers at any time."""


def sure(ask: Ask[T]) -> Asking[T]:
    """The answer to what does no harm when it is asked again.

    Raises:
        DispatchError: The device was lost each time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            found: T = yield ask
        except DispatchError:
            yield UNDERWAY
        else:
            return found
    last: T = yield ask
    return last
