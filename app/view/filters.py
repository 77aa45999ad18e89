"""Which results to show: chosen in the sidebar, kept in the address and from page to page."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import streamlit as st


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice among the values of a column.

    Attributes:
        key: Its name in the page's address.
        label: What it is called.
        column: The column of the results.
        narrow_above: With more values than this, just the first is chosen at the start: they belong
            into charts of their own, or are too many for a page. Without, nothing is chosen, which
            means everything.
    """

    key: str
    label: str
    column: str
    narrow_above: int | None = None

    def kept(self, results: pd.DataFrame) -> pd.Series:
        """Shows the choice, and tells of each row whether it was chosen.

        Rows without a value, of models that could not be prepared, are kept.
        """
        options = list(results[self.column].dropna().unique())
        narrow = self.narrow_above is not None and len(options) > self.narrow_above
        chosen = st.multiselect(
            self.label,
            options,
            default=options[:1] if narrow else None,
            key=self.key,
            bind="query-params",
            placeholder="All",
            select_all=False,
        )
        values = results[self.column]
        return values.isin(chosen or options) | values.isna()


@dataclass(frozen=True, slots=True)
class SidebarSelection:
    """What was chosen in the sidebar.

    Attributes:
        results: All rows.
        kept: Of each filter, by its key, which rows it keeps.
    """

    results: pd.DataFrame
    kept: Mapping[str, pd.Series]

    def rows(self, *ignoring: str) -> pd.DataFrame:
        """The rows that were chosen.

        Args:
            ignoring: Keys of filters that do not count, such as "device" to compare devices.
        """
        masks = [mask for key, mask in self.kept.items() if key not in ignoring]
        return self.results[functools.reduce(operator.and_, masks)]


FILTERS = (
    Filter("device", "Device", "device", narrow_above=6),
    Filter("model", "Model", "model"),
    Filter("workload", "Workload", "workload_label", narrow_above=1),
    Filter("engine", "Engine and threads", "configuration"),
)


def choose(results: pd.DataFrame) -> SidebarSelection:
    """Shows all filters in the sidebar.

    Args:
        results: All rows.
    """
    with st.sidebar:
        st.header("Show")
        return SidebarSelection(results, {each.key: each.kept(results) for each in FILTERS})
