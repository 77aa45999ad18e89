"""Watching files that others write."""

import os
import threading
from pathlib import Path

import pytest

from odllm_agent.cache import Cache
from odllm_agent.cache.cache import Conversion, Derivation
from odllm_agent.cache.growth import growing
from odllm_agent.contract import Progress, Quantization


class Listener:
    """Whoever is told; waits until it was told something that fits."""

    def __init__(self) -> None:
        self.told: list[Progress] = []
        self._more = threading.Condition()

    def __call__(self, progress: Progress) -> None:
        with self._more:
            self.told.append(progress)
            self._more.notify_all()

    def wait_for(self, done_bytes: int) -> Progress:
        with self._more:
            assert self._more.wait_for(lambda: self.told[-1:] and self._last(done_bytes), 60)
        return self.told[-1]

    def _last(self, done_bytes: int) -> bool:
        return self.told[-1].done_bytes >= done_bytes


def test_a_file_is_told_as_it_grows(tmp_path: Path) -> None:
    listener = Listener()
    path = tmp_path / "file"
    with growing(path, "making Q4_0", 200_000, listener):
        assert listener.wait_for(0) == Progress("making Q4_0", 0, 200_000)
        path.write_bytes(bytes(range(250)) * 400)
        assert 100_000 <= listener.wait_for(100_000).done_bytes < 110_000
        path.write_bytes(bytes(range(250)) * 1200)
        grown = listener.wait_for(300_000)
        assert grown.total_bytes == 300_000
    told = len(listener.told)
    path.write_bytes(b"")
    assert len(listener.told) == told


@pytest.mark.skipif(not hasattr(os.stat_result, "st_blocks"), reason="tells of no holes")
def test_a_hole_is_not_there_yet(tmp_path: Path) -> None:
    listener = Listener()
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(10**9)
    with growing(path, "making Q4_0", 1, listener):
        found = listener.wait_for(0)
    assert found.total_bytes == 10**9
    assert found.done_bytes < 10**6


def test_what_the_cache_makes_is_told(tmp_path: Path) -> None:
    listener = Listener()
    cache = Cache(tmp_path, tell=listener)

    def folder(target: Path) -> None:
        target.mkdir()
        (target / "openvino_model.bin").write_bytes(bytes(range(250)) * 400)
        listener.wait_for(100_000)

    def file(target: Path) -> None:
        target.write_bytes(bytes(range(250)) * 1200)
        listener.wait_for(300_000)

    cache.derived(Conversion("a" * 64, "1"), folder, 1)
    cache.derived(Derivation("a" * 64, Quantization("Q4_0"), "1"), file, 1)
    assert [*dict.fromkeys(each.what for each in listener.told)] == [
        "converting for OpenVINO",
        "making Q4_0",
    ]
