"""The page on the view `results` says what the view is."""

import re
from pathlib import Path

import duckdb
import pytest

from odllm_agent.contract import EventKind
from odllm_controller.metrics import documentation
from odllm_controller.store import read
from tests import stores, support

PAGE = Path(__file__).parents[3] / "docs" / "results.md"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return stores.measured(tmp_path / "odllm.duckdb", support.round_result()).path


EVENTS = "## What happened in the fleet"


def names(text: str) -> list[str]:
    """What the first cells of a page's tables name."""
    rows = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def part(page: str, heading: str) -> str:
    """A part of the page, up to the next heading."""
    return heading + page.split(heading)[1].split("\n## ", maxsplit=1)[0]


def test_every_column_is_documented_and_none_beside(path: Path) -> None:
    page = PAGE.read_text("utf-8")
    documented = names(page.replace(part(page, EVENTS), ""))
    assert len(documented) == len(set(documented))
    assert set(documented) == set(read(path, "SELECT * FROM results"))


def test_the_page_says_of_metrics_what_the_registry_does() -> None:
    page = PAGE.read_text("utf-8")
    assert documentation.rewritten(page) == page, "`make docs` writes it anew"


def test_the_events_and_their_kinds_are_documented_and_none_beside(path: Path) -> None:
    _, columns, kinds = part(PAGE.read_text("utf-8"), EVENTS).split("| --- | --- |\n")[0:3]
    assert names(columns.split("| `kind` | a device")[0]) == list(
        read(path, "SELECT * FROM events")
    )
    assert set(names(kinds)) == {str(kind) for kind in EventKind}


def test_the_examples_run(path: Path) -> None:
    page = PAGE.read_text("utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    queries += re.findall(r'read\(Path\(.*?\), "(.*?)"\)', page)
    assert len(queries) == 2
    with duckdb.connect(str(path), read_only=True) as connection:
        for query in queries:
            connection.execute(query)
