"""How one device stands in a run, and how that changes: values only, with no clock and no Ray."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from odllm_controller.run.asking import Ask


class CourseState(StrEnum):
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
class Course:
    """How a device stands; times are seconds of any one clock.

    Attributes:
        standing: What it does.
        since_s: Since when.
        until_s: When that has lasted too long, or, of a pause, long enough.
        reason: Why it is away, held or waiting.
    """

    standing: CourseState = CourseState.IDLE
    since_s: float = 0.0
    until_s: float = math.inf
    reason: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the device does not answer."""
        return self.standing in {CourseState.AWAY, CourseState.HELD}

    @property
    def is_over(self) -> bool:
        """Whether the run need not wait for the device."""
        return self.standing in {CourseState.DONE, CourseState.HELD}

    def is_due(self, at_s: float) -> bool:
        """Whether what it does has lasted too long, or a pause long enough."""
        return at_s >= self.until_s

    def asked(self, ask: Ask[Any], at_s: float) -> "Course":
        """It was asked something; one that is gone is so until it answers."""
        if self.is_gone:
            return self
        return Course(CourseState.RUNNING, at_s, at_s + ask.deadline_s)

    def paused(self, pause: Pause, at_s: float) -> "Course":
        """It is to be asked nothing for a while."""
        return Course(CourseState.WAITING, at_s, at_s + pause.pause_s, pause.reason)

    def answered(self, at_s: float) -> "Course":
        """It answered, and so it is there."""
        return Course(CourseState.IDLE, at_s)

    def lost(self, reason: str, at_s: float, grace_s: float) -> "Course":
        """It does not answer; the first time counts."""
        if self.is_gone:
            return self
        return Course(CourseState.AWAY, at_s, at_s + grace_s, reason)

    def held(self, at_s: float, reason: str) -> "Course":
        """The run goes on without it."""
        return Course(CourseState.HELD, at_s, math.inf, reason)

    def done(self, at_s: float) -> "Course":
        """Nothing is left for it to do."""
        return Course(CourseState.DONE, at_s)
