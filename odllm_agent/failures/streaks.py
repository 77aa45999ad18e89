"""Failures in a row, and when they are enough to stop trying."""

from collections.abc import Iterator
from dataclasses import dataclass

from odllm_agent.contract import QualityResult, RoundResult
from odllm_agent.failures.attempt import Attempt
from odllm_agent.failures.cause import Cause
from odllm_agent.failures.traits import Traits

_ENOUGH_AT_A_TYPE = 3
_ENOUGH = 5


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures of one cause with no success and no other failure between them.

    Attributes:
        cause: The cause.
        told: The cause in words.
        n_failed: How many.
        common: What all of them have in common, which is taken for what fails: one bad file speaks
            against that file, and only failures of several speak against their type or their
            engine.
    """

    cause: Cause
    told: str
    n_failed: int
    common: Traits


class Streaks:
    """The rows of failures of one device so far, by engine and type, and by engine."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Streak] = {}

    def learned(self, result: RoundResult | QualityResult) -> Iterator[Streak]:
        """Takes a result into account, and tells the rows that are now long enough to stop."""
        ran = result.ran
        engine = ran.engine.name
        for kind, enough in ((ran.model.quantization, _ENOUGH_AT_A_TYPE), ("", _ENOUGH)):
            row = self._longer(self._rows.get((engine, kind)), result, Traits.of(ran))
            if row is None:
                self._rows.pop((engine, kind), None)
                continue
            self._rows[engine, kind] = row
            if result.failure and row.n_failed >= enough:
                yield row

    def _longer(
        self, row: Streak | None, result: RoundResult | QualityResult, traits: Traits
    ) -> Streak | None:
        """A row after a further result; a failure that tells nothing of the engine leaves it."""
        if result.failure is None:
            return None
        cause = Cause.of(result.failure, Attempt.of(result))
        if not cause.is_of_engine:
            return row
        if row is None or row.cause != cause:
            return Streak(cause, cause.told(result.failure.message), 1, traits)
        return Streak(cause, row.told, row.n_failed + 1, row.common.shared(traits))
