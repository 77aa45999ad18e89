"""Agents that answer over Ray."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from rich.text import Text

from odllm_agent.contract import (
    AgentApi,
    Candidate,
    Device,
    Failure,
    Forecast,
    Holding,
    ModelCacheApi,
    ModelFile,
    ModelRequest,
    Progress,
)
from odllm_agent.errors import DispatchError, OdllmError
from odllm_controller.run.asking import Ask

# A day: models of 30 GB come over slow lines. An agent that dies is noticed without it.
_FETCH_TIMEOUT_S = 24 * 3600
_ANSWER_TIMEOUT_S = 120
# Checksums of model files that lie beside the cache.
_READ_TIMEOUT_S = 3600
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

    def ask(self, ask: Ask[Any]) -> Any:
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
        reference = self.ask(Ask.of(AgentApi.forecast, candidates, self.meters, here))
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
        reference = self.ask(Ask.of(AgentApi.prepare, request))
        while show and not ray.wait([reference], timeout=_SHOWN_EVERY_S)[0]:
            progress = answer(self.ask(Ask.of(AgentApi.progress)), _ANSWER_TIMEOUT_S)
            if progress:
                show(progress)
        prepared: ModelFile | Failure = answer(reference, _FETCH_TIMEOUT_S)
        return prepared

    def holdings(self) -> tuple[Holding, ...] | Failure:
        """Which models the agent's device has, the most recently used first.

        Raises:
            DispatchError: The agent does not answer.
        """
        found: tuple[Holding, ...] | Failure = answer(
            self.ask(Ask.of(ModelCacheApi.holdings)), _ANSWER_TIMEOUT_S
        )
        return found

    def unneeded(self, requests: tuple[ModelRequest, ...]) -> tuple[Holding, ...] | Failure:
        """What the agent's device has and does not need for what is asked for.

        Raises:
            DispatchError: The agent does not answer.
        """
        reference = self.ask(Ask.of(ModelCacheApi.unneeded, requests))
        found: tuple[Holding, ...] | Failure = answer(reference, _READ_TIMEOUT_S)
        return found

    def remove(self, sha256s: tuple[str, ...]) -> tuple[str, ...] | Failure:
        """Takes models off the agent's device; gives the checksums of those that are gone.

        Raises:
            DispatchError: The agent does not answer.
        """
        reference = self.ask(Ask.of(ModelCacheApi.remove, sha256s))
        gone: tuple[str, ...] | Failure = answer(reference, _ANSWER_TIMEOUT_S)
        return gone


def answer(reference: Any, timeout_s: float | None = None) -> Any:
    """What a reference stands for.

    Args:
        reference: What an agent's `ask` returned.
        timeout_s: How long to wait for it, or `None` to wait as long as the agent lives.

    Raises:
        DispatchError: The agent was lost, failed, or does not answer.
    """
    try:
        return ray.get(reference, timeout=timeout_s)
    except RayTaskError as error:
        known = error.cause if isinstance(error.cause, OdllmError) else None
        raise DispatchError(
            f"the agent failed: {known.message if known else why(error)}",
            known.remedy if known else "`odllm-agent doctor` on its device tells more",
        ) from error
    except RayError as error:
        raise DispatchError(
            f"the agent does not answer: {why(error)}", "run the command again"
        ) from error


def why(error: RayError) -> str:
    """What Ray tells of an agent that did not answer as it should, in a line."""
    if isinstance(error, RayTaskError):
        # Ray's own words round what failed name neither what nor where.
        return f"{type(error.cause).__name__}: {error.cause}"
    # Ray colours its words, whether they go to a terminal or not.
    told = Text.from_ansi(str(error)).plain.strip()
    return next(iter(told.splitlines()), type(error).__name__)


def waited(references: Sequence[Any], timeout_s: float) -> Sequence[Any]:
    """Those references that are answered, once the first of them is, or after that time none."""
    if not references:
        time.sleep(timeout_s)
        return []
    ready, others = ray.wait(list(references), num_returns=1, timeout=timeout_s)
    more = ray.wait(others, num_returns=len(others), timeout=0)[0] if ready and others else []
    return [*ready, *more]
