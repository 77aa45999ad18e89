"""What a store says of the rounds that were planned, and what is wrong with that."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

Round = tuple[str, int]
"""A trial's id and one of its rounds, from 0."""


@dataclass(frozen=True, slots=True)
class Books:
    """What a store says.

    Attributes:
        planned: How many rounds each trial was to be measured in, by trial id.
        measured: How often each round was measured to its end.
        unmeasured: Why a trial that is not measured to its end is not, by trial id.
        statuses: What the view `results` tells of each trial: its device's name and its status.
    """

    planned: Mapping[str, int]
    measured: Mapping[Round, int]
    unmeasured: Mapping[str, str]
    statuses: Sequence[tuple[str, str]] = ()

    @classmethod
    def read(cls, path: Path) -> "Books":
        """Reads a copy of a store that nobody writes to."""
        with TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            for each in (path, path.with_name(f"{path.name}.wal")):
                if each.exists():
                    shutil.copyfile(each, copy.with_name(each.name))
            with duckdb.connect(str(copy)) as database:
                planned = database.execute(_PLANNED).fetchall()
                measured = database.execute(_MEASURED).fetchall()
                unmeasured = database.execute(_UNMEASURED).fetchall()
                statuses = database.execute("SELECT device, status FROM results").fetchall()
        return cls(
            dict(planned),
            Counter({(trial_id, index): times for trial_id, index, times in measured}),
            dict(unmeasured),
            statuses,
        )

    @property
    def missing(self) -> Set[Round]:
        """The rounds that were planned and not measured to their end."""
        return set(self._planned_rounds()) - set(self.measured)

    def wrongs(self, n_trials: int) -> list[str]:
        """What must not be, whatever happened to the fleet.

        Args:
            n_trials: How many trials there are to be.
        """
        twice = [f"{each} is there {n} times" for each, n in self.measured.items() if n > 1]
        unplanned = set(self.measured) - set(self._planned_rounds())
        silent = sorted({trial_id for trial_id, _ in self.missing} - set(self.unmeasured))
        lost = [f"trial {trial_id} is missing without a word" for trial_id in silent]
        strange = [f"{each} was never planned" for each in sorted(unplanned)]
        planned = len(self.planned)
        count = [f"{planned} trials were planned, not {n_trials}"] if planned != n_trials else []
        return [*twice, *lost, *strange, *count]

    def _planned_rounds(self) -> Iterator[Round]:
        for trial_id, rounds in self.planned.items():
            yield from ((trial_id, index) for index in range(rounds))


_PLANNED = "SELECT trial_id, max(rounds) FROM planned GROUP BY trial_id"
_MEASURED = "SELECT trial_id, round, count(*) FROM rounds WHERE complete GROUP BY trial_id, round"
_UNMEASURED = """
    SELECT trial_id, any_value(reason)
    FROM (
        SELECT trial_id, kind || ': ' || message AS reason
        FROM failures JOIN rounds USING (round_id)
        UNION ALL SELECT trial_id, reason FROM held
    )
    GROUP BY trial_id
"""
