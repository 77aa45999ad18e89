"""What one device has still to do, and in which order."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Self

from odllm_agent.contract import (
    Cooldown,
    Measurement,
    QualityCheck,
    QualityResult,
    RepeatPolicy,
    Rest,
    Result,
    RoundResult,
)
from odllm_agent.failures import LeftOut, Streak, Streaks, Traits
from odllm_agent.statistics.interval import Rounds, interval_of
from odllm_agent.trials.steps import Step

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


class _Item(NamedTuple):
    """Something to do; a trial's id is a hash that is worked out once."""

    trial_id: str
    task: Step | Rest | QualityCheck

    @classmethod
    def of(cls, task: Step | Rest | QualityCheck) -> Self:
        return cls(task.trial.id if isinstance(task, Step) else "", task)

    @property
    def traits(self) -> Traits | None:
        """What others may share with it; nothing with a rest."""
        if isinstance(self.task, Rest):
            return None
        return Traits.of(self.task.trial if isinstance(self.task, Step) else self.task)

    def shares(self, common: Traits) -> bool:
        """Whether it has traits that others have in common."""
        return self.traits is not None and common.include(self.traits)

    @property
    def kind(self) -> tuple[str, str]:
        """Its engine and type; of a rest, none."""
        return (self.traits.engine, self.traits.quantization or "") if self.traits else ("", "")

    @property
    def is_spare(self) -> bool:
        return isinstance(self.task, Step) and self.task.spare


class Agenda:
    """What one device has still to do, in order.

    It learns from each result: a trial that failed is left out of the later rounds, one whose
    interval is as narrow as asked for is left out of the spare ones, and each round is told the
    speeds of the earlier ones, so that it knows when to stop. Once several in a row failed alike,
    everything that shares what they have in common is left out too; see `failures.Streaks`.

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
        earlier_decode_tok_s: Mapping[str, Rounds],
    ) -> None:
        self._left = deque(_Item.of(each) for each in (*steps, *checks))
        self._planned = frozenset(item.traits for item in self._left if item.traits)
        self._streaks = Streaks()
        self._ran: set[tuple[str, str]] = set()
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
        trial_id, head = self._left.popleft()
        if not isinstance(head, Step):
            return head
        return Measurement(
            trial=head.trial,
            round=head.round,
            policy=self._terms.policy,
            meters=self._terms.meters,
            earlier_decode_tok_s=tuple(chain(*self._speeds.get(trial_id, ()))),
            deadline_s=self._terms.deadlines_s.get(trial_id, self._terms.deadline_s),
            cooldown=self._terms.cooldown,
        )

    def learn(self, result: Result) -> list[LeftOut]:
        """Takes a result into account, and tells what is not tried any more because of it."""
        if isinstance(result, RoundResult):
            self._learn_of_trial(result)
        if not isinstance(result, RoundResult | QualityResult):
            return []
        if result.failure is None:
            of = result.trial if isinstance(result, RoundResult) else result.check
            self._ran.add((of.engine.name, of.model.quantization))
        given_up = [self._given_up(streak) for streak in self._streaks.learned(result)]
        return [each for each in given_up if each.trial_ids or each.checks]

    def _learn_of_trial(self, result: RoundResult) -> None:
        trial_id = result.trial.id
        if result.failure:
            self._leave_out(trial_id)
            return
        self._speeds[trial_id] = (*self._speeds.get(trial_id, ()), result.decode_tok_s)
        self._settle(trial_id)

    def _settle(self, trial_id: str) -> None:
        """Leaves a trial out of the spare rounds if it needs none of them."""
        items = [item for item in self._left if item.trial_id == trial_id]
        if items and all(item.is_spare for item in items) and self._is_narrow(trial_id):
            self._leave_out(trial_id)

    def _is_narrow(self, trial_id: str) -> bool:
        width = interval_of(self._speeds[trial_id], seed=trial_id).width
        return width is not None and width <= self._terms.policy.interval_target

    def _leave_out(self, trial_id: str) -> None:
        self._left = deque(item for item in self._left if item.trial_id != trial_id)

    def _given_up(self, streak: Streak) -> LeftOut:
        """Leaves out everything that shares what the failures of a row have in common.

        What several types have in common says nothing of a type that has run.
        """
        of_one_type = streak.common.quantization is not None

        def is_hopeless(item: _Item) -> bool:
            return item.shares(streak.common) and (of_one_type or item.kind not in self._ran)

        hopeless = list(filter(is_hopeless, self._left))
        self._left = deque(item for item in self._left if not is_hopeless(item))
        return LeftOut(
            what=streak.common.told(self._planned),
            cause=streak.told,
            n_failed=streak.n_failed,
            n_rounds=sum(bool(item.trial_id) and not item.is_spare for item in hopeless),
            trial_ids=tuple(dict.fromkeys(item.trial_id for item in hopeless if item.trial_id)),
            checks=tuple(item.task for item in hopeless if isinstance(item.task, QualityCheck)),
        )

    def _leave_out_needless_rests(self) -> None:
        """Leaves out a rest that no trial follows, because its whole round was left out."""
        while self._left and isinstance(self._left[0].task, Rest):
            if len(self._left) > 1 and self._left[1].trial_id:
                return
            self._left.popleft()
