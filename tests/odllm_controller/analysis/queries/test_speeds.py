from pathlib import Path

import pytest

from odllm_agent.errors import StoreError
from odllm_controller.analysis.queries import speeds
from tests import stores, support


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def test_speeds_are_those_of_whole_rounds(path: Path) -> None:
    times = [support.repeat(index, prefill_s=0.256, token_s=0.02) for index in (1, 2)]
    measured = support.round_result(repeats=tuple(times))
    stores.measured(path, measured, support.failed_round(support.trial(threads=6)))
    (found,) = speeds.load(path, "id-of-laptop")
    model = measured.trial.model
    assert (found.engine, found.file_bytes) == ("llama_cpp", model.file_bytes)
    assert (found.weight_bytes, found.n_weights) == (model.weight_bytes, model.n_weights)
    assert found.prefill_token_s == pytest.approx(0.256 / 128)
    assert found.decode_token_s == pytest.approx(0.02)
    assert found.load_s == 0.5
    # What is left of 2 s after the load, the warm-up and two repeats of 64 tokens.
    spent_s = 0.5 + (0.1 + 64 * 0.01) + 2 * (0.256 + 64 * 0.02)
    assert found.start_s == pytest.approx(max(0.0, 2.0 - spent_s))


def test_another_device_tells_nothing(path: Path) -> None:
    stores.measured(path, support.round_result())
    assert speeds.load(path, "id-of-another") == ()


def test_without_a_store_nothing_is_known_and_none_is_made(path: Path) -> None:
    assert speeds.load(path, "id-of-laptop") == ()
    assert not path.exists()


def test_what_is_no_store_is_told(path: Path) -> None:
    path.write_text("this is no database, it only looks like one " * 100)
    with pytest.raises(StoreError):
        speeds.load(path, "id-of-laptop")
