"""Agents that answer over Ray."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from odllm_agent.contract import (
    Candidate,
    Device,
    Failure,
    Forecast,
    ModelFile,
    ModelRequest,
    Progress,
)
from odllm_agent.errors import DispatchError
from odllm_controller.course import Ask

# A day: models of 30 GB come over slow lines. An agent that dies is noticed without it.
_FETCH_TIMEOUT_S = 24 * 3600
_ANSWER_TIMEOUT_S = 120
_SHOWN_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class RemoteAgent:
    """An agent that answers over Ray.

    Attributes:
        device: What its device is.
        actor: The handle of its actor.
        meters: Names of the power meters that an experiment reads.
        labels: The labels that it joined with.
    """

    device: Device
    actor: Any
    meters: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def ask(self, ask: Ask) -> Any:
        """Asks it something, and returns Ray's reference to the answer at once."""
        return getattr(self.actor, ask.method).remote(*ask.arguments)

    def forecast(
        self, candidates: tuple[Candidate, ...], *, here: bool = True
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need; nothing is made or fetched.

        Args:
            candidates: What to tell about.
            here: Whether they would run on the agent's device, whose cache may have their files.

        Raises:
            DispatchError: The agent does not answer.
        """
        reference = self.ask(Ask("forecast", (candidates, self.meters, here)))
        found: tuple[Forecast, ...] = answer(reference, _FETCH_TIMEOUT_S)
        return found

    def prepare(
        self, request: ModelRequest, show: Callable[[Progress], None] | None = None
    ) -> ModelFile | Failure:
        """Gets a model file ready on the agent's device.

        Args:
            request: The file.
            show: Is told every second how far it is, while it is fetched or made.

        Raises:
            DispatchError: The agent does not answer.
        """
        reference = self.ask(Ask("prepare", (request,)))
        while show and not ray.wait([reference], timeout=_SHOWN_EVERY_S)[0]:
            progress = answer(self.ask(Ask("progress")), _ANSWER_TIMEOUT_S)
            if progress:
                show(progress)
        prepared: ModelFile | Failure = answer(reference, _FETCH_TIMEOUT_S)
        return prepared


def answer(reference: Any, timeout_s: float | None = None) -> Any:
    """What a reference stands for.

    Args:
        reference: What an agent's `ask` returned.
        timeout_s: How long to wait for it, or `None` to wait as long as the agent lives.

    Raises:
        DispatchError: The agent was lost, or does not answer.
    """
    try:
        return ray.get(reference, timeout=timeout_s)
    except RayError as error:
        raise DispatchError(
            f"the agent does not answer: {_first_line(error)}", "run the command again"
        ) from error


def waited(references: Sequence[Any], timeout_s: float) -> Sequence[Any]:
    """Those references that are answered, once the first of them is."""
    ready, others = ray.wait(list(references), num_returns=1, timeout=timeout_s)
    more = ray.wait(others, num_returns=len(others), timeout=0)[0] if ready and others else []
    return [*ready, *more]


def _first_line(error: RayError) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
