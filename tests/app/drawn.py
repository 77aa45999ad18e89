"""Pages as Streamlit's own harness draws them, without a browser."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

_SCRIPT = Path(__file__).parents[2] / "app" / "shell" / "entry" / "script.py"


def page(path: str = "", **address: str) -> AppTest:
    """A page as drawn for an address; a traceback on it fails the test.

    Args:
        path: The page's path, or empty for the one that the explorer opens on.
        address: What follows `?`.
    """
    test = AppTest.from_file(str(_SCRIPT), default_timeout=60)
    for key, value in address.items():
        test.query_params[key] = value
    if path:
        # What `switch_page` would do, if it took pages that are functions.
        test._page_hash = calc_hash(path)
    return drawn(test.run())


def drawn(test: AppTest) -> AppTest:
    """The same page, on which there must be no traceback."""
    assert not test.exception, test.exception
    return test


def charts(test: AppTest) -> list[dict[str, Any]]:
    """The specifications of all charts on a page."""
    return [json.loads(each.proto.spec) for each in test.get("vega_lite_chart")]


def table(test: AppTest, *columns: str) -> pd.DataFrame:
    """The only table that has some columns."""
    (found,) = (each.value for each in test.dataframe if set(columns) <= set(each.value))
    return found


def headings(test: AppTest) -> list[str]:
    """What stands above the figures of a page."""
    return [text.value for text in test.markdown if text.value.startswith("**")]


def texts(test: AppTest) -> str:
    """Everything that a page says in words."""
    kinds = (test.markdown, test.caption, test.info, test.warning, test.error, test.subheader)
    return "\n".join(str(each.value) for kind in kinds for each in kind)
