"""The order in which a device's trials are measured."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from odllm_agent.contract import Device, Method, Rest, Trial


@dataclass(frozen=True, slots=True)
class Step:
    """One trial in one round.

    Attributes:
        trial: What is measured.
        round: Which pass over the device's trials it is, from 0.
        spare: Whether it is needed only while the trial's interval is too wide.
    """

    trial: Trial
    round: int
    spare: bool = False


def steps(
    planned: Sequence[Trial],
    rounds: int,
    seed: int,
    finished: Collection[tuple[str, int]] = frozenset(),
    rounds_at_most: int | None = None,
) -> tuple[Step, ...]:
    """The order in which a device's trials are measured.

    Every round visits all trials in an order of its own, so that a drift of the device is not
    mistaken for an effect of what is measured. The order depends only on the seed and on what is
    planned; leaving out what is finished does not change it.

    Args:
        planned: The trials of one device.
        rounds: How often each is visited.
        seed: What the orders are drawn from.
        finished: Pairs of trial id and round that need no measuring any more.
        rounds_at_most: How often each may be visited; what goes beyond `rounds` is spare.
    """
    ordered = sorted(planned, key=lambda trial: trial.id)
    return tuple(
        Step(trial, index, spare=index >= rounds)
        for index in range(rounds_at_most or rounds)
        for trial in _shuffled(ordered, f"{seed}:{index}")
        if (trial.id, index) not in finished
    )


def rested(
    measured: Sequence[Step], device: Device, meters: tuple[str, ...], idle_s: float
) -> tuple[Step | Rest, ...]:
    """The steps of a device with a rest before the first, and between rounds where power is read.

    Args:
        measured: The steps, in order.
        device: The device.
        meters: Names of the power meters to read.
        idle_s: How long a rest is; 0 for none.
    """
    metered = any(meter.method is Method.MEASURED for meter in device.meters)
    found: list[Step | Rest] = []
    for before, step in zip((None, *measured), measured, strict=False):
        begins = before is None or (metered and before.round != step.round)
        if idle_s and begins:
            found.append(Rest(device.id, step.round, meters, idle_s))
        found.append(step)
    return tuple(found)


def _shuffled(ordered: Sequence[Trial], seed: str) -> list[Trial]:
    shuffled = list(ordered)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - not a secret
    return shuffled
