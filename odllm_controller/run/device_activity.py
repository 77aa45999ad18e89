"""How one device stands in a run, and how that changes: values only, with no clock and no Ray."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from odllm_controller.run.asking import Ask


class Activity(StrEnum):
    """What a device of a run does."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"  # it is there, and may not measure now
    AWAY = "away"  # it does not answer
    HELD = "held"  # it did not answer for longer than it is waited for
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a device is asked nothing.

    Attributes:
        reason: Why.
        pause_s: How long.
    """

    reason: str
    pause_s: float


@dataclass(frozen=True, slots=True)
class DeviceActivity:
    """How a device stands; times are seconds of any one clock.

    Attributes:
        activity: What it does.
        since_s: Since when.
        until_s: When that has lasted too long, or, of a pause, long enough.
        reason: Why it is away, held or waiting.
    """

    activity: Activity = Activity.IDLE
    since_s: float = 0.0
    until_s: float = math.inf
    reason: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the device does not answer."""
        return self.activity in {Activity.AWAY, Activity.HELD}

    @property
    def is_over(self) -> bool:
        """Whether the run need not wait for the device."""
        return self.activity in {Activity.DONE, Activity.HELD}

    def is_due(self, at_s: float) -> bool:
        """Whether what it does has lasted too long, or a pause long enough."""
        return at_s >= self.until_s

    def asked(self, ask: Ask[Any], at_s: float) -> "DeviceActivity":
        """It was asked something; one that is gone is so until it answers."""
        if self.is_gone:
            return self
        return DeviceActivity(Activity.RUNNING, at_s, at_s + ask.deadline_s)

    def paused(self, pause: Pause, at_s: float) -> "DeviceActivity":
        """It is to be asked nothing for a while."""
        return DeviceActivity(Activity.WAITING, at_s, at_s + pause.pause_s, pause.reason)

    def answered(self, at_s: float) -> "DeviceActivity":
        """It answered, and so it is there."""
        return DeviceActivity(Activity.IDLE, at_s)

    def lost(self, reason: str, at_s: float, grace_s: float) -> "DeviceActivity":
        """It does not answer; the first time counts."""
        if self.is_gone:
            return self
        return DeviceActivity(Activity.AWAY, at_s, at_s + grace_s, reason)

    def held(self, at_s: float, reason: str) -> "DeviceActivity":
        """The run goes on without it."""
        return DeviceActivity(Activity.HELD, at_s, math.inf, reason)

    def done(self, at_s: float) -> "DeviceActivity":
        """Nothing is left for it to do."""
        return DeviceActivity(Activity.DONE, at_s)
