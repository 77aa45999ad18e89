"""What one device has still to do, and in which order."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeGuard

from odllm_agent.contract import (
    Cooldown,
    Measurement,
    QualityCheck,
    RepeatPolicy,
    Rest,
    Result,
    RoundResult,
)
from odllm_controller.bootstrap import interval_of
from odllm_controller.plan import Step
from odllm_controller.store import Speeds

Task = Measurement | QualityCheck | Rest
"""An order of an agenda."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an experiment has every trial measured; see `Measurement`.

    Attributes:
        policy: How often to repeat.
        meters: Names of the power meters to read.
        deadline_s: The longest that a round may take.
        cooldown: What is waited for before each.
        deadlines_s: The longest of trials that are expected to be quicker, by trial id.
    """

    policy: RepeatPolicy
    meters: tuple[str, ...]
    deadline_s: float
    cooldown: Cooldown = field(default_factory=Cooldown)
    deadlines_s: Mapping[str, float] = field(default_factory=dict)


class Agenda:
    """What one device has still to do, in order.

    It learns from each result: a trial that failed is left out of the later rounds, one whose
    interval is as narrow as asked for is left out of the spare ones, and each round is told the
    speeds of the earlier ones, so that it knows when to stop.

    Args:
        steps: The trials to measure, in order, and the rests between them.
        checks: The quality checks that come after them.
        terms: How every trial is measured.
        earlier_decode_tok_s: Decode speeds already stored, by trial id and round.
    """

    def __init__(
        self,
        steps: Sequence[Step | Rest],
        checks: Sequence[QualityCheck],
        terms: Terms,
        earlier_decode_tok_s: Mapping[str, Speeds],
    ) -> None:
        self._left = deque[Step | Rest | QualityCheck]([*steps, *checks])
        self._terms = terms
        self._speeds = dict(earlier_decode_tok_s)
        for trial_id in earlier_decode_tok_s:
            self._settle(trial_id)

    def __len__(self) -> int:
        return len(self._left)

    def next_order(self) -> Task | None:
        """Takes the next thing to do off the agenda, or `None` once it is empty."""
        self._leave_out_needless_rests()
        if not self._left:
            return None
        head = self._left.popleft()
        if not isinstance(head, Step):
            return head
        return Measurement(
            trial=head.trial,
            round=head.round,
            policy=self._terms.policy,
            meters=self._terms.meters,
            earlier_decode_tok_s=tuple(chain(*self._speeds.get(head.trial.id, ()))),
            deadline_s=self._terms.deadlines_s.get(head.trial.id, self._terms.deadline_s),
            cooldown=self._terms.cooldown,
        )

    def learn(self, result: Result) -> None:
        """Takes a result into account."""
        if not isinstance(result, RoundResult):
            return
        trial_id = result.trial.id
        if result.failure:
            self._leave_out(trial_id)
            return
        measured = tuple(each.decode_tok_s for each in result.repeats if not each.warmup)
        self._speeds[trial_id] = (*self._speeds.get(trial_id, ()), measured)
        self._settle(trial_id)

    def _settle(self, trial_id: str) -> None:
        """Leaves a trial out of the spare rounds if it needs none of them."""
        steps = [step for step in self._left if _is_of(step, trial_id)]
        if steps and all(step.spare for step in steps) and self._is_narrow(trial_id):
            self._leave_out(trial_id)

    def _is_narrow(self, trial_id: str) -> bool:
        width = interval_of(self._speeds[trial_id], seed=trial_id).width
        return width is not None and width <= self._terms.policy.interval_target

    def _leave_out(self, trial_id: str) -> None:
        self._left = deque(step for step in self._left if not _is_of(step, trial_id))

    def _leave_out_needless_rests(self) -> None:
        """Leaves out a rest that no trial follows, because its whole round was left out."""
        while self._left and isinstance(self._left[0], Rest):
            if len(self._left) > 1 and isinstance(self._left[1], Step):
                return
            self._left.popleft()


def _is_of(step: Step | Rest | QualityCheck, trial_id: str) -> TypeGuard[Step]:
    return isinstance(step, Step) and step.trial.id == trial_id
