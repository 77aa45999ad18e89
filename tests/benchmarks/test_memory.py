"""A worker's own account of its memory, held to the kernel's."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.memory import MemoryReport
from odllm_agent.contract import HeldMemory, Workload
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import EngineError
from tests import support
from tests.models import Shape, write_gguf

SETTINGS = check_settings("llama_cpp", {"threads": 1})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_real_worker_tells_what_the_kernel_shows_of_it_from_outside(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m-F16.gguf", Shape(width=512, layers=4, ffn=2048))
    model = replace(support.model_file(quantization="F16"), path=str(path))
    trial = support.trial(model, **SETTINGS)  # type: ignore[arg-type]
    found = memory.measure(replace(trial, workload=Workload("w", 64, 32)))
    assert found.unmet() == ()
    assert found.inside.mapped_bytes == pytest.approx(path.stat().st_size, rel=0.02)
    own = (found.inside.loaded_bytes, found.inside.kv_bytes, found.inside.compute_bytes)
    assert sum(each or 0 for each in own) < (found.inside.anonymous_bytes or 0)
    assert all(each is not None for each in own)


def test_a_worker_that_fails_is_an_error(tmp_path: Path) -> None:
    model = replace(support.model_file(), path=str(tmp_path / "none.gguf"))
    with pytest.raises(EngineError, match=r"none\.gguf"):
        memory.measure(support.trial(model, **SETTINGS))  # type: ignore[arg-type]


def test_a_part_that_is_too_far_apart_is_named() -> None:
    outside = support.held_memory(mapped_bytes=100, anonymous_bytes=200, rss_bytes=400)
    inside = replace(outside, mapped_bytes=97, anonymous_bytes=202)
    (line,) = MemoryReport("m", inside, outside).unmet()
    assert line == "m: mapped_bytes is 3.0 % from what the kernel shows, wanted 2 %"
    assert MemoryReport("m", HeldMemory(1, 1, 1), HeldMemory(1, 1, 1)).unmet() == ()
