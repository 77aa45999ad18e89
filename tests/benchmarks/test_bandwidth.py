"""The loop in C, really built and run on a small buffer."""

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import bandwidth
from benchmarks.bandwidth import Pair, build, loop_bytes_per_s
from odllm_agent.errors import EngineError
from odllm_controller.cli.table import console

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("loop"))


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_value_is_read_once_by_some_thread(program: Path, threads: int) -> None:
    command = [str(program), str(threads), str(8 * 4800), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    per_s, total = map(float, done.stdout.split())
    # The values are 0 to 7 over and over.
    assert total == 4800 / 8 * 28
    assert per_s > 0


@needs_compiler
def test_the_best_pass_is_told(program: Path) -> None:
    assert loop_bytes_per_s(program, 2, 2**20, 0.0) > 0


def test_without_a_compiler_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(EngineError, match="C compiler"):
        build(tmp_path)


def test_disturbed_pairs_do_not_count_where_others_do() -> None:
    pairs = [Pair(1.0, 2.0, ("busy",)), Pair(3.0, 3.0), Pair(3.0, 3.0)]
    assert bandwidth._told(console(), 1, pairs) == 1.0
    assert bandwidth._told(console(), 1, pairs[:1]) == 0.5
