"""Whoever answers a controller has each method of its protocol, with the same arguments."""

import inspect
from collections.abc import Iterator

import pytest

from odllm_agent.contract import AgentApi, ModelCacheApi
from odllm_agent.simulation.agent import SimulatedAgent
from tests.odllm_controller.world import FakeAgent
from tests.ray_modules import imported

SIMULATED: type[AgentApi] = SimulatedAgent


def methods(protocol: type) -> Iterator[tuple[str, list[str]]]:
    """The methods of a protocol with what they take, but for `self`."""
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            yield name, list(inspect.signature(method).parameters)[1:]


def taken_by(kind: type, name: str) -> list[str]:
    """What a method of a class takes by its place, but for `self`; Ray adds names of its own."""
    found = inspect.signature(getattr(kind, name)).parameters.values()
    return [each.name for each in found if each.kind is each.POSITIONAL_OR_KEYWORD][1:]


@pytest.mark.parametrize(("name", "takes"), list(methods(AgentApi)))
def test_a_simulated_device_answers_all_that_an_agent_does(name: str, takes: list[str]) -> None:
    assert taken_by(SIMULATED, name) == takes


@pytest.mark.parametrize("name", ["underway", "hindrance", "carry_out", "collect", "acknowledge"])
def test_the_device_that_tests_of_runs_lose_answers_as_many_arguments(name: str) -> None:
    assert len(taken_by(FakeAgent, name)) == len(dict(methods(AgentApi))[name])


@pytest.mark.ray
@pytest.mark.parametrize(("name", "takes"), [*methods(AgentApi), *methods(ModelCacheApi)])
def test_the_actor_of_a_device_answers_all_that_is_asked(name: str, takes: list[str]) -> None:
    actor = imported("odllm_agent.fleet.actor").AgentActor
    assert taken_by(actor.__ray_metadata__.modified_class, name) == takes
