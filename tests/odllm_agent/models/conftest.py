"""A model file and a cache."""

from pathlib import Path

import pytest

from odllm_agent.models import Cache
from tests.models import write_gguf


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An F16 model of 1.1 MB that no test may change."""
    return write_gguf(tmp_path_factory.mktemp("models") / "tiny-F16.gguf")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")
