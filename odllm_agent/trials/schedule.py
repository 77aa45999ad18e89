"""What one device has still to do, and in which order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from odllm_agent.contract import (
    Baseline,
    Ceilings,
    Cooldown,
    Measurement,
    Order,
    QualityCheck,
    QualityResult,
    RepeatPolicy,
    Rest,
    Result,
    RoundResult,
    Trial,
)
from odllm_agent.failures import LeftOut, Streak, Streaks, Traits
from odllm_agent.statistics.interval import Rounds, interval_of
from odllm_agent.trials.steps import Step


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

    def order(self, step: Step, earlier_decode_tok_s: Iterable[float]) -> Measurement:
        """The order to measure a step.

        Args:
            step: A trial in a round.
            earlier_decode_tok_s: Decode speeds of the trial's earlier rounds.
        """
        return Measurement(
            trial=step.trial,
            round=step.round,
            policy=self.policy,
            meters=self.meters,
            earlier_decode_tok_s=tuple(earlier_decode_tok_s),
            deadline_s=self.deadlines_s.get(step.trial.id, self.deadline_s),
            cooldown=self.cooldown,
        )


class Schedule:
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
        self._left = deque(steps)
        self._checks = deque(checks)
        runs: list[Trial | QualityCheck] = [*(step.trial for step in self._steps()), *checks]
        self._planned = frozenset(map(Traits.of, runs))
        self._streaks = Streaks()
        self._ran: set[tuple[str, str]] = set()
        self._terms = terms
        self._speeds = dict(earlier_decode_tok_s)
        for trial_id in earlier_decode_tok_s:
            self._settle(trial_id)

    def __len__(self) -> int:
        return len(self._left) + len(self._checks)

    def next_order(self) -> Order | None:
        """Takes the next thing to do off the schedule, or `None` once it is empty."""
        self._leave_out_needless_rests()
        if not self._left:
            return self._checks.popleft() if self._checks else None
        match self._left.popleft():
            case Step() as step:
                return self._terms.order(step, chain(*self._speeds.get(step.trial.id, ())))
            case Rest() as rest:
                return rest

    def learn(self, result: Result) -> list[LeftOut]:
        """Takes a result into account, and tells what is not tried any more because of it."""
        match result:
            case RoundResult():
                self._learn_of_trial(result)
            case QualityResult():
                pass
            case Baseline() | Ceilings():
                return []
        if result.failure is None:
            self._ran.add(_kind(result.ran))
        given_up = [self._given_up(streak) for streak in self._streaks.learned(result)]
        return [each for each in given_up if each.trial_ids or each.checks]

    def _learn_of_trial(self, result: RoundResult) -> None:
        trial_id = result.trial.id
        if result.failure:
            self._leave_out(lambda step: step.trial.id == trial_id)
            return
        self._speeds[trial_id] = (*self._speeds.get(trial_id, ()), result.decode_tok_s)
        self._settle(trial_id)

    def _settle(self, trial_id: str) -> None:
        """Leaves a trial out of the spare rounds if it needs none of them."""
        steps = [step for step in self._steps() if step.trial.id == trial_id]
        if steps and all(step.spare for step in steps) and self._is_narrow(trial_id):
            self._leave_out(lambda step: step.trial.id == trial_id)

    def _is_narrow(self, trial_id: str) -> bool:
        width = interval_of(self._speeds[trial_id], seed=trial_id).width
        return width is not None and width <= self._terms.policy.interval_target

    def _steps(self) -> Iterator[Step]:
        return (each for each in self._left if isinstance(each, Step))

    def _leave_out(self, is_out: Callable[[Step], bool]) -> list[Step]:
        """Takes steps off the schedule, and tells which."""
        gone = list(filter(is_out, self._steps()))
        self._left = deque(
            each for each in self._left if isinstance(each, Rest) or not is_out(each)
        )
        return gone

    def _given_up(self, streak: Streak) -> LeftOut:
        """Leaves out everything that shares what the failures of a row have in common.

        What several types have in common says nothing of a type that has run.
        """
        of_one_type = streak.common.quantization is not None

        def is_hopeless(runs: Trial | QualityCheck) -> bool:
            shares = streak.common.include(Traits.of(runs))
            return shares and (of_one_type or _kind(runs) not in self._ran)

        steps = self._leave_out(lambda step: is_hopeless(step.trial))
        checks = tuple(filter(is_hopeless, self._checks))
        self._checks = deque(check for check in self._checks if not is_hopeless(check))
        return LeftOut(
            what=streak.common.told(self._planned),
            cause=streak.told,
            n_failed=streak.n_failed,
            n_rounds=sum(not step.spare for step in steps),
            trial_ids=tuple(dict.fromkeys(step.trial.id for step in steps)),
            checks=checks,
        )

    def _leave_out_needless_rests(self) -> None:
        """Leaves out a rest that no trial follows, because its whole round was left out."""
        while self._left and isinstance(self._left[0], Rest):
            if len(self._left) > 1 and isinstance(self._left[1], Step):
                return
            self._left.popleft()


def _kind(runs: Trial | QualityCheck) -> tuple[str, str]:
    """The engine and the type of what runs on it."""
    return runs.engine.name, runs.model.quantization
