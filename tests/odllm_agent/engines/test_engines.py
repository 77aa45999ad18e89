"""The table of engines, with one of them missing."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from odllm_agent import engines
from odllm_agent.contract import Engine
from odllm_agent.errors import EngineError, UsageError
from tests import support


@pytest.fixture
def _without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "odllm_agent.engines.openvino.session", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)


@pytest.mark.usefixtures("_without_openvino")
def test_an_engine_that_is_not_installed_has_no_version() -> None:
    assert set(engines.versions()) == {"llama_cpp"}


@pytest.mark.usefixtures("_without_openvino")
def test_an_engine_that_is_not_installed_is_refused_with_the_line_to_install_it() -> None:
    engine, model = Engine("openvino", "not installed", {"threads": 1}), support.model_file()
    with pytest.raises(EngineError, match="openvino is not installed here") as caught:
        engines.prepare(engine, model)
    assert caught.value.remedy == 'pip install "odllm[openvino]"'
    with pytest.raises(EngineError, match="openvino is not installed here"):
        engines.load(engine, model, 8)


@pytest.mark.usefixtures("_without_openvino")
def test_engines_that_cannot_be_used_say_why() -> None:
    (name, error), *others = engines.absent().items()
    assert (name, others) == ("openvino", [])
    assert error.remedy == 'pip install "odllm[openvino]"'


def test_a_library_that_cannot_be_loaded_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("Failed to load shared library 'libllama.so'")

    monkeypatch.setattr(importlib, "import_module", broken)
    assert engines.versions() == {}
    assert "libllama.so" in engines.absent()["llama_cpp"].message
    assert "--force-reinstall" in engines.absent()["llama_cpp"].remedy


def test_an_engine_that_tells_no_buffers_says_so_beside_what_the_system_told() -> None:
    held = support.held_memory(kv_bytes=None, reason="Windows does not tell")
    found = engines.with_told(held, Engine("openvino", "2026.4", {}), "any log")
    assert found.mapped_bytes == held.mapped_bytes
    assert found.reason == (
        "Windows does not tell; openvino does not tell the sizes of its buffers"
    )


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="abacus") as caught:
        engines.prepare(Engine("abacus", "", {}), support.model_file())
    assert caught.value.remedy == "known engines: llama_cpp, openvino"


@pytest.mark.parametrize(
    "program", ["engines.openvino.session", "engines.openvino.convert", "doctor.device"]
)
def test_no_engine_tells_anybody_that_it_is_used(program: str, tmp_path: Path) -> None:
    code = (
        "import importlib, sys, threading\n"
        f"importlib.import_module('odllm_agent.{program}')\n"
        "from odllm_agent import engines\n"
        "engines.versions()\n"
        "sys.exit(threading.active_count() - 1 + ('openvino' not in sys.modules))\n"
    )
    home = {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "CI": "false"}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | home, check=False)
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
