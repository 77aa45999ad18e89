"""What two things are set against each other: runs, devices, engines, builds or whole stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.terminal.arguments import nearest
from odllm_controller import store
from odllm_controller.analysis.queries import results

_RUNS = """
SELECT run_id, list(DISTINCT trial_id) AS trials
FROM rounds
WHERE complete
GROUP BY run_id
ORDER BY run_id
"""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of two things that are compared.

    Attributes:
        label: What it is, such as `run 20261124T094701-f2d298`.
        path: The store that it is in.
        rows: Its measured rows.
        run: The only run whose rounds count, or `None`.
    """

    label: str
    path: Path
    rows: pd.DataFrame
    run: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Everything in a store that can be named.

    Attributes:
        path: The store.
        rows: Its measured rows.
        trials: The trials with whole rounds of each run.
    """

    path: Path
    rows: pd.DataFrame
    trials: Mapping[str, frozenset[str]]

    @classmethod
    def load(cls, path: Path) -> "Named":
        """What a store has.

        Raises:
            StoreError: It cannot be read.
            UsageError: Nothing is measured in it.
        """
        rows = results.measured(results.load(path))
        if rows.empty:
            raise UsageError(f"nothing is measured in {path}", "run an experiment into it first")
        runs = store.read(path, _RUNS).itertuples(index=False, name=None)
        return cls(path, rows, {str(run): frozenset(trials) for run, trials in runs})

    def side(self, text: str) -> Side:
        """What a name stands for.

        Args:
            text: A run's id, a device's name or id, an engine's name, version or build; of ids,
                versions and builds the beginning will do.

        Raises:
            UsageError: It stands for nothing, or for several things.
        """
        kinds = self._kinds()
        for fits in (str.__eq__, str.startswith):
            found = [
                (kind, name) for kind, names in kinds.items() for name in names if fits(name, text)
            ]
            if len(found) == 1:
                return self._side(*found[0])
            if found:
                told = " or ".join(f"{kind} {name}" for kind, name in found[:5])
                raise UsageError(f"{text!r} may mean {told}", "write more of it")
        known = [name for names in kinds.values() for name in names]
        raise UsageError(
            f"{text!r} is no run, device, engine, version or build in {self.path}",
            nearest(text, known),
        )

    def _kinds(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "run": tuple(self.trials),
            **{kind: self._values(column) for kind, column in _COLUMNS.items()},
        }

    def _values(self, column: str) -> tuple[str, ...]:
        return tuple(map(str, self.rows[column].dropna().unique()))

    def _side(self, kind: str, name: str) -> Side:
        if kind == "run":
            of_run = self.rows["trial_id"].isin(self.trials[name])
            return Side(f"run {name}", self.path, self.rows[of_run], name)
        return Side(f"{kind} {name}", self.path, self.rows[self.rows[_COLUMNS[kind]] == name])


_COLUMNS: Mapping[str, str] = {
    "device": "device",
    "device id": "device_id",
    "engine": "engine",
    "version": "engine_version",
    "build": "engine_build",
}


def sides(of: str, against: str, path: Path, against_path: Path | None = None) -> tuple[Side, Side]:
    """The two things that are compared.

    Args:
        of: A name in the store, or the path of another store.
        against: The same.
        path: The store.
        against_path: The store of the second, if it is another one.

    Raises:
        UsageError: One of them stands for nothing, or for several things.
        StoreError: A store cannot be read.
    """
    elsewhere = against_path or path
    paths = {text: typed_path(text) for text in (of, against) if typed_path(text).is_file()}
    needed = {paths.get(of, path), paths.get(against, elsewhere)}
    found = {each: Named.load(each) for each in needed}
    return (
        _side(found[paths.get(of, path)], of, is_file=of in paths),
        _side(found[paths.get(against, elsewhere)], against, is_file=against in paths),
    )


def _side(found: Named, text: str, *, is_file: bool) -> Side:
    return Side(f"store {text}", found.path, found.rows) if is_file else found.side(text)
