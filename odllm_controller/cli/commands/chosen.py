"""The stored results that a command is about."""

from pathlib import Path

import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.terminal.arguments import nearest
from odllm_controller.analysis.queries import results
from odllm_controller.overrides import line


def load(path: Path) -> pd.DataFrame:
    """All results of a store.

    Raises:
        UsageError: Nothing is measured in it.
        StoreError: It cannot be read.
    """
    found = results.load(path)
    if not results.measured(found).empty:
        return found
    became = results.unmeasured(found)
    if not became:
        raise UsageError(f"nothing is measured in {path}", f"try `{line.into_store(path)}`")
    raise UsageError(
        f"nothing is measured in {path} ({became})",
        f"`{line.joined(['odllm', 'explore', '--store', str(path)])}` has all with what to do",
    )


def of(found: pd.DataFrame, column: str, wanted: str | None) -> pd.DataFrame:
    """The rows of a device or workload that was named; all if none was.

    Args:
        found: Rows as `results.load` gives them.
        column: `device` or `workload`.
        wanted: Its name; of a device the beginning of its id will do too.

    Raises:
        UsageError: There is none.
    """
    if wanted is None:
        return found
    labels = found[f"{column}_label"] if column == "workload" else found["device_id"]
    chosen = (found[column] == wanted) | (labels == wanted)
    if column == "device":
        plain = found["device"].str.split(" (", regex=False).str[0]
        chosen = chosen | (plain == wanted) | found["device_id"].str.startswith(wanted)
    if not chosen.any():
        raise UsageError(
            f"there is no {column} {wanted!r} in the store",
            nearest(wanted, sorted(set(found[column].dropna()))),
        )
    return found[chosen]
