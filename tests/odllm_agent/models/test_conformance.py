"""What every source of models keeps to; a new one is tried by being in the table."""

import importlib
from pathlib import Path

import pytest
import yaml

from odllm_agent.contract import ModelRequest, Quantization, Source
from odllm_agent.errors import OdllmError
from odllm_agent.models import Cache, prepare
from odllm_agent.models.sources import _MODULES
from odllm_controller.overrides import conf

each_source = pytest.mark.parametrize("source", Source)
PLENTY = 10**12


def test_every_source_has_a_module() -> None:
    assert set(_MODULES) == set(Source)


@each_source
def test_it_has_a_config_that_shows_how_it_is_asked_for(source: Source) -> None:
    paths = (conf.option("model", name) for name in conf.options("model"))
    texts = [yaml.safe_load(path.read_text("utf-8")) for path in paths]
    assert source in {model["source"] for each in texts for model in each.values()}


@each_source
def test_it_can_locate(source: Source) -> None:
    assert callable(importlib.import_module(_MODULES[source]).locate)


@each_source
def test_what_is_not_there_is_told_with_a_remedy_and_leaves_nothing_behind(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    cache = Cache(tmp_path / "cache")
    location = {
        Source.HUB: f"nobody/nothing/none.gguf@{'0' * 40}",
        Source.FILE: str(tmp_path / "none.gguf"),
        Source.PACKAGE: "nobodys-nothing==1.0",
    }.get(source, "nothing")
    sha256 = "0" * 64 if source is Source.PACKAGE else None
    wanted = ModelRequest("m", source, location, Quantization("Q4_0"), sha256)
    with pytest.raises(OdllmError) as refused:
        prepare(wanted, cache, PLENTY)
    assert refused.value.message
    assert refused.value.remedy
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".gguf", ".part"}]
