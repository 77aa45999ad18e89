"""A whole run with an engine of whose build one code path does not work."""

from pathlib import Path

import pytest

from odllm_agent.engines.llama_cpp.ggml import layout
from tests.odllm_controller.bench import Bench
from tests.shim import struck

pytestmark = pytest.mark.ray

# A matrix of the model that the bench measures.
_SHAPE = (256, 256)
_QUALITY = ("quality=reference", "quality.window_tokens=64", "quality.limit=3")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("how", "told"), [("crash", "crashes (SIGSEGV)"), ("wrong", "computes wrong values")]
)
def test_a_layout_that_does_not_work_is_not_used_and_one_line_says_so(
    bench: Bench, tmp_path: Path, how: str, told: str
) -> None:
    if layout("Q4_0", _SHAPE) is None:
        pytest.skip("this processor has no layout of its own for Q4_0")
    environment = struck(tmp_path, "Q4_0", "layout", how)
    ended = bench.run(*_QUALITY, ODLLM_BUILDS_DIR=str(tmp_path / "builds"), **environment)
    assert ended.status == 0, ended.out + ended.err
    results = bench.query("SELECT * FROM results ORDER BY quantization")
    assert results["status"].tolist() == ["done", "done"]
    repack = bench.query(
        "SELECT quantization, settings ->> 'repack' AS repack FROM results ORDER BY quantization"
    )
    assert repack["repack"].tolist() == ["false", "true"]
    assert results["perplexity"].notna().all()
    # What this processor's own build cannot do is told in lines of their own.
    notes = " ".join(ended.out.split()).split("note: ")[1:]
    (line,) = [each for each in notes if "repack=false" in each]
    assert told in line
    assert "Q4_0" in line
    assert "llama-cpp-python" in line
    tests = bench.query(
        "SELECT * FROM build_tests WHERE outcome <> 'right' AND engine = 'llama_cpp'"
    )
    assert set(tests["type"]) == {"Q4_0"}


def test_a_type_that_works_in_no_way_is_skipped_with_its_reason_before_it_is_tried(
    bench: Bench, tmp_path: Path
) -> None:
    environment = struck(tmp_path, "Q4_0", "plain", "crash")
    ended = bench.run(ODLLM_BUILDS_DIR=str(tmp_path / "builds"), **environment)
    assert ended.status == 0, ended.out + ended.err
    results = bench.query("SELECT * FROM results ORDER BY quantization").set_index("quantization")
    assert results["status"].to_dict() == {"Q4_0": "skipped", "Q8_0": "done"}
    assert "plain Q4_0 crashes (SIGSEGV)" in results["skip_reason"]["Q4_0"]
    assert "skipped: " in ended.out
