"""`odllm compare` as it is typed."""

import json
from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_agent.terminal.program import run
from odllm_controller.cli.commands import compare
from tests import stores
from tests.odllm_controller.analysis.compare.test_contrast import (
    Day,
    once,
    trial,
    twice,
    two_builds,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The second run is a fifth slower at Q4_0, and has nothing else."""
    before = Day().results(trial(), trial("Q8_0"))
    return twice(tmp_path / "s.duckdb", before, Day(0.8, seed=1).results(trial(), first_round=4))


def told(path: Path, *words: str) -> int:
    return run(compare.app, ["--store", str(path), *words])


def test_a_sure_regression_gives_status_1_and_stands_first(path: Path, capsys: Capture) -> None:
    assert told(path, "run-2", "run-1") == 1
    out = capsys.readouterr().out
    assert out.startswith("run run-2 against run run-1: ratios of medians [95 %]")
    assert "worse" in out.splitlines()[2]
    assert "beyond 5 %: 2 worse, 0 undecided, 0 alike, 0 better" in out
    assert "no ratio, or no interval of it: Decode energy per token: no powercap here" in out
    assert "only run run-1, 1: laptop, reference-1.6M, Q8_0" in out


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["run-1", "run-2"], 0),
        (["run-2", "run-1", "--limit", "30%"], 0),
        (["run-2", "run-1", "--metric", "memory"], 0),
        (["run-2", "run-1", "--metric", "tpot_s"], 1),
        (["run-2", "run-1", "--metric", "memory", "--metric", "speed"], 1),
    ],
)
def test_the_status_says_whether_a_regression_is_sure(
    path: Path, capsys: Capture, words: list[str], status: int
) -> None:
    assert told(path, *words) == status


def test_what_differs_in_all_cells_is_told(tmp_path: Path, capsys: Capture) -> None:
    old, new = two_builds()
    path = tmp_path / "s.duckdb"
    once(path, *Day().results(trial(engine=old)), *Day(seed=1).results(trial(engine=new)))
    told(path, new.build, old.build)
    assert "differing in all of them: engine build" in capsys.readouterr().out


def test_nothing_that_both_have_a_figure_of_gives_status_2(path: Path, capsys: Capture) -> None:
    assert told(path, "run-2", "run-1", "--metric", "decode_j_per_token") == 2
    assert "Decode energy per token: no powercap here" in capsys.readouterr().out


def test_json_has_a_cell_for_every_metric_with_its_interval(path: Path, capsys: Capture) -> None:
    assert told(path, "run-2", "run-1", "--json", "--metric", "speed") == 1
    found = json.loads(capsys.readouterr().out)
    (cell,) = found["cells"]
    assert (cell["metric"], cell["standing"], cell["quantization"]) == (
        "decode_tok_s",
        "worse",
        "Q4_0",
    )
    assert cell["ratio"]["low"] < 0.8 < cell["ratio"]["high"]
    assert (found["limit"], len(found["only_against"])) == (0.05, 1)


def test_a_store_elsewhere_is_the_second(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    stores.begun(other).add_results("run-1", Day(2.0).results(trial()))
    assert told(path, "laptop", "laptop", "--against-store", str(other)) == 1
    assert told(other, "laptop", "laptop", "--against-store", str(path)) == 0
    assert told(path, str(path), str(other)) == 1


@pytest.mark.parametrize("limit", ["5", "-1%", "much", "100%", "nan%"])
def test_a_limit_that_is_none_is_refused(path: Path, limit: str) -> None:
    with pytest.raises(UsageError, match="is no change"):
        told(path, "run-2", "run-1", f"--limit={limit}")


def test_help_has_examples(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        run(compare.app, ["--help"])
    assert "odllm compare new.duckdb old.duckdb --json" in capsys.readouterr().out
