"""Which results to show: chosen in the sidebar, kept in the page's address."""

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
        only_first: Whether just the first value is chosen at the start, because rows that differ
            in it belong into charts of their own; if not, nothing chosen means everything.
    """

    key: str
    label: str
    column: str
    only_first: bool = False

    def apply(self, results: pd.DataFrame) -> pd.DataFrame:
        """Shows the choice, and leaves the rows that were chosen."""
        options = list(dict.fromkeys(results[self.column].dropna()))
        chosen = st.multiselect(
            self.label,
            options,
            default=options[:1] if self.only_first else None,
            key=self.key,
            bind="query-params",
            placeholder="All",
            select_all=False,
        )
        return results[results[self.column].isin(chosen)] if chosen else results


FILTERS = (
    Filter("device", "Device", "device"),
    Filter("model", "Model", "model"),
    Filter("workload", "Workload", "workload_label", only_first=True),
    Filter("engine", "Engine and threads", "configuration", only_first=True),
)


def choose(results: pd.DataFrame) -> pd.DataFrame:
    """Shows all filters in the sidebar.

    Args:
        results: All rows.

    Returns:
        The rows that were chosen, and those of models that could not be prepared, which have
        neither workload nor engine.
    """
    with st.sidebar:
        st.header("Show")
        chosen = results
        for each in FILTERS:
            kept = each.apply(results)
            rows = chosen.index.intersection(kept.index)
            if each.only_first:
                rows = rows.union(chosen.index[chosen[each.column].isna()])
            chosen = chosen.loc[rows.sort_values()]
        return chosen
