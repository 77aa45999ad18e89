"""What an agent is asked: a method of its protocol, with what it takes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple

Answer = TypeVar("Answer")
First = TypeVarTuple("First")
Last = TypeVar("Last")
Takes = ParamSpec("Takes")


@dataclass(frozen=True, slots=True)
class Ask(Generic[Answer]):
    """What an agent is asked; see `AgentApi` and `ModelCacheApi`.

    Attributes:
        method: The name of the method.
        arguments: What it takes.
        deadline_s: The time after which the agent counts as lost.
        latest: Works out what it takes last, at the moment when it is sent.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    deadline_s: float = math.inf
    latest: Callable[[], Any] | None = None

    @classmethod
    def of(
        cls,
        method: Callable[Concatenate[Any, Takes], Answer],
        *arguments: Takes.args,
        **named: Takes.kwargs,
    ) -> "Ask[Answer]":
        """A method of a protocol, with its arguments in their order.

        Args:
            method: Such as `AgentApi.prepare`.
            arguments: What it takes.
            named: Nothing: what is asked goes over the wire by its place.

        Raises:
            TypeError: An argument is named.
        """
        if named:
            raise TypeError(f"{method.__name__} is asked by place, and {', '.join(named)} is named")
        return Ask(method.__name__, arguments)

    @classmethod
    def later(
        cls,
        method: Callable[[Any, *First, Last], Answer],
        *first: *First,
        latest: Callable[[], Last],
    ) -> "Ask[Answer]":
        """A method whose last argument is worked out at the moment when it is sent."""
        return Ask(method.__name__, first, latest=latest)

    def within(self, deadline_s: float) -> "Ask[Answer]":
        """The same, of an agent that counts as lost after so many seconds."""
        return replace(self, deadline_s=deadline_s)

    def is_of(self, method: Callable[..., object]) -> bool:
        """Whether it asks for that method of a protocol."""
        return self.method == method.__name__

    def settled(self) -> "Ask[Answer]":
        """The same with the arguments that it is sent with."""
        if self.latest is None:
            return self
        return replace(self, arguments=(*self.arguments, self.latest()), latest=None)
