"""A model file, a cache, and a hub that the real client asks."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

import odllm_agent.models.download.hub_client  # noqa: F401 - sets the client up, before a test does
from odllm_agent.builds import builds
from odllm_agent.cache import Cache
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE
from tests import hub_server
from tests.models import write_gguf


@pytest.fixture(scope="session", autouse=True)
def _tried(_known_builds: None) -> None:
    """Has what these processes load of llama.cpp tried first, as it is before a worker loads it."""
    builds()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An F16 model of 1.1 MB that no test may change."""
    return write_gguf(tmp_path_factory.mktemp("models") / "tiny-F16.gguf")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    """A hub that the real client in this process asks, without ever sleeping for long."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    # What of a body is written at once: small enough for the small models of the tests.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with hub_server.running() as running:
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        close_session()
        yield running
        close_session()
