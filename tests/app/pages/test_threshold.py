"""The page about the threshold and the five claims."""

import math
from pathlib import Path

import pytest

from tests import stores, support
from tests.app import showcase
from tests.app.conftest import shown
from tests.app.drawn import charts, headings, page, table, texts


@pytest.fixture(scope="module")
def sizes_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sizes of a family whose files meet."""
    path = tmp_path_factory.mktemp("sizes") / "odllm.duckdb"
    showcase.store(path, ("qwen-1.5B", "qwen-3B"), ("F16", "Q8_0", "Q4_K_M", "Q3_K_M", "Q2_K"))
    return path


@pytest.fixture
def sized(sizes_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shown(sizes_path, monkeypatch)
    return sizes_path


def test_the_advantage_of_a_larger_model_is_told_by_its_bits(sized: Path) -> None:
    test = page("threshold", device="laptop")
    first = next(each for each in headings(test) if "against" in each)
    assert first.startswith(r"**qwen\-3B against qwen\-1\.5B** · by perplexity, at equal bytes")
    of_bytes, of_memory = (each.value for each in test.dataframe if "Advantage (%)" in each.value)
    assert of_bytes["Type"].tolist() == ["Q2_K", "Q3_K_M", "Q4_K_M"]
    assert set(of_bytes["Smaller model"]) == {"qwen-1.5B"}
    assert (of_bytes["95 % from"] < of_bytes["Advantage (%)"]).all()
    # By the showcase's formula 3B has 2 ** -0.25 of 1.5B's perplexity, but for what both lose.
    assert of_bytes["Advantage (%)"].iloc[-1] == pytest.approx(25 * math.log(2), abs=3)
    assert not of_memory.empty


def test_the_chart_has_the_crossing_the_papers_place_and_the_line_of_no_advantage(
    sized: Path,
) -> None:
    drawn = charts(page("threshold", device="laptop"))[0]
    marks = [layer["mark"]["type"] for layer in drawn["layer"]]
    assert marks == ["rect", "rule", "rule", "rule", "point"]
    (dashed,) = [layer for layer in drawn["layer"] if "strokeDash" in layer["mark"]]
    assert dashed["encoding"]["x"]["field"] == "at"


def test_all_five_claims_have_a_verdict(showcased: Path) -> None:
    told = texts(page("threshold", device="laptop"))
    for number in range(1, 6):
        assert rf"**{number}\. " in told
    assert "what would decide it" in told
    assert "rests on 8 trials, 2 models, 1 device" in told
    # The laptop's prefill draws 22 W and its decode 14.5 W.
    assert "✔ *supported*" in told


def test_virtual_devices_are_named_in_the_evidence(sized: Path) -> None:
    told = texts(page("threshold", device="slice-1 (virtual)"))
    assert r"Parts of one machine, not machines\: slice\-1 \(virtual\)" in told


def test_pairs_that_share_no_room_say_so(showcased: Path) -> None:
    test = page("threshold", device="laptop")
    why = table(test, "Why there is none")["Why there is none"]
    assert set(why) == {"a threshold needs 2 types in the room of both models, and there are none"}


def test_without_scores_there_is_what_to_run(path: Path) -> None:
    stores.measured(path, support.round_result())
    test = page("threshold")
    assert "No two sizes of one family of models have scores here" in texts(test)
    assert "odllm run +experiment=sweep" in texts(test)
