"""What every page is given, and what a page is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from odllm_app.drawing.symbols import Symbol
from odllm_app.view.filters import SidebarSelection
from odllm_app.view.loading import Stamp
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.results import UnderWay


@dataclass(frozen=True, slots=True)
class View:
    """What is in the store, and what of it was chosen.

    Attributes:
        path: The store.
        stamp: Of the store; what a page reads besides is cached by path and stamp.
        results: All rows of `results.load`, chosen or not; there is one at least.
        selection: What was chosen in the sidebar.
        chosen: The rows that were chosen there, measured or not.
        run: The run that is under way, or `None`.
        symbols: One for every model of the store, so that each keeps its own in every chart.
    """

    path: Path
    stamp: Stamp
    results: pd.DataFrame
    selection: SidebarSelection
    chosen: pd.DataFrame
    run: UnderWay | None
    symbols: Sequence[Symbol]

    @property
    def measured(self) -> pd.DataFrame:
        """The chosen rows that have figures."""
        return results.measured(self.chosen)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the explorer.

    Attributes:
        path: In the address.
        title: In the navigation and above the page.
        question: What it answers, shown below the title.
        show: Draws it.
    """

    path: str
    title: str
    question: str
    show: Callable[[View], None]
