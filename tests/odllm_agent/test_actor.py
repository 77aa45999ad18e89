"""What a controller may ask of a device, without the way there."""

from pathlib import Path
from typing import Any

import pytest

from odllm_agent.actor import AgentActor
from odllm_agent.contract import Candidate, Engine, ModelRequest, Quantization, Source, Workload
from odllm_agent.settings import check_settings
from tests.models import write_gguf


@pytest.fixture
def agent() -> Any:
    """The actor's own class, in this process."""
    return AgentActor.__ray_metadata__.modified_class(())  # type: ignore[attr-defined]


def candidate(folder: Path) -> Candidate:
    path = write_gguf(folder / "tiny-F16.gguf")
    request = ModelRequest("tiny", Source.FILE, str(path), Quantization.Q8_0)
    engine = Engine("llama_cpp", "any", check_settings("llama_cpp", {"threads": 1}))
    return Candidate(request, engine, Workload("w", prompt_tokens=8, output_tokens=4))


def test_what_a_fresh_agent_has_already_costs_no_disk_here_and_does_elsewhere(
    agent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    asked = candidate(tmp_path)
    (before,) = agent.forecast((asked,))
    made = agent.prepare(asked.request)
    restarted = AgentActor.__ray_metadata__.modified_class(())  # type: ignore[attr-defined]
    (here,) = restarted.forecast((asked,))
    (elsewhere,) = restarted.forecast((asked,), here=False)
    assert before.disk_bytes == elsewhere.disk_bytes == made.file_bytes
    assert here.disk_bytes == 0


def test_a_cache_that_cannot_be_opened_is_a_failure_of_each_forecast(
    agent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "plenty")
    (told,) = agent.forecast((candidate(tmp_path),))
    assert told.failure.kind == "UsageError"
    assert "plenty" in told.failure.message
