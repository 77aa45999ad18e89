"""A model server over a cache of its own, and what is asked of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import model_server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[model_server.ModelServer]:
    with model_server.running(tmp_path / "served") as running:
        yield running
