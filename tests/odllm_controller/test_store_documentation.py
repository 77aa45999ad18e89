"""The page on the view `results` says what the view is."""

import re
from pathlib import Path

import duckdb
import pytest

from odllm_controller.store import read
from tests import stores, support

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return stores.measured(tmp_path / "odllm.duckdb", support.round_result()).path


def test_every_column_is_documented_and_none_beside(path: Path) -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(documented) == len(set(documented))
    assert set(documented) == set(read(path, "SELECT * FROM results"))


def test_the_examples_run(path: Path) -> None:
    page = PAGE.read_text("utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    queries += re.findall(r'read\(Path\(.*?\), "(.*?)"\)', page)
    assert len(queries) == 2
    with duckdb.connect(str(path), read_only=True) as connection:
        for query in queries:
            connection.execute(query)
