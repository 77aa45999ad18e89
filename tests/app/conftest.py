"""Stores that pages are drawn from."""

from pathlib import Path

import pytest

from tests.app import showcase


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the explorer looks for a store; there is none yet."""
    path = tmp_path / "odllm.duckdb"
    shown(path, monkeypatch)
    return path


@pytest.fixture(scope="session")
def showcase_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with every kind of row, of two models and four types; not to be changed."""
    path = tmp_path_factory.mktemp("showcase") / "odllm.duckdb"
    showcase.store(path, ("qwen-0.5B", "qwen-3B"), ("F16", "Q8_0", "Q4_K_M", "Q2_K"))
    return path


@pytest.fixture
def showcased(showcase_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The showcase, as the store that the explorer shows."""
    shown(showcase_path, monkeypatch)
    return showcase_path


def shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the explorer show a store."""
    monkeypatch.setattr("sys.argv", ["script.py", "--store", str(path)])
