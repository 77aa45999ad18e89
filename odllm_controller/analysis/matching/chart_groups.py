"""Which rows may share a chart."""

from collections.abc import Iterator

import pandas as pd

from odllm_controller.analysis.queries.subject import SETUP


def panels(rows: pd.DataFrame) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """Rows that differ only in their model, and what tells them from the others.

    Args:
        rows: Rows as `results.load` gives them.

    Yields:
        The names of the device, workload and configuration, but for those that all rows share; and
        the rows.
    """
    varying = [name for name in SETUP if rows[name].nunique() > 1]
    for key, panel in rows.groupby(SETUP, sort=False):
        named = dict(zip(SETUP, key, strict=True))
        yield [str(named[name]) for name in varying], panel
