"""Two things against each other, from stores whose speeds follow from a formula."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from odllm_agent.contract import Engine, QualityResult, RoundResult, Score, Trial, Workload
from odllm_agent.errors import UsageError
from odllm_controller.analysis.compare.contrast import (
    ChangeVerdict,
    Contrast,
    MetricContrast,
    contrast,
)
from odllm_controller.analysis.compare.sides import Named, sides
from odllm_controller.cli.exporting import ExportOptions, export
from odllm_controller.cli.importing import import_file
from odllm_controller.metrics import metric
from odllm_controller.store import Store
from tests import stores, support

DECODE, PREFILL = metric("decode_tok_s"), metric("prefill_tok_s")
MEMORY, PERPLEXITY = metric("peak_rss_bytes"), metric("perplexity")
OPENVINO = Engine("openvino", "2026.4.1", {"threads": 2, "device": "CPU"})


@dataclass(frozen=True, slots=True)
class Day:
    """What a run measured: how fast everything was, and how much that varied."""

    speed: float = 1.0
    spread: float = 0.01
    rounds: int = 4
    seed: int = 0

    def results(self, *trials: Trial, first_round: int = 0) -> list[RoundResult]:
        chance = random.Random(self.seed)
        return [
            self._round(trial, first_round + index, chance)
            for index in range(self.rounds)
            for trial in trials
        ]

    def _round(self, trial: Trial, index: int, chance: random.Random) -> RoundResult:
        repeats = tuple(
            support.repeat(
                place,
                token_s=0.01 / self.speed * math.exp(chance.gauss(0, self.spread)),
                prefill_s=0.1 / self.speed * math.exp(chance.gauss(0, self.spread)),
            )
            for place in (1, 2, 3)
        )
        return support.round_result(trial, index, repeats)


def trial(quantization: str = "Q4_0", **changes: object) -> Trial:
    model = support.model_file(quantization=quantization)
    return replace(support.trial(model), **changes)  # type: ignore[arg-type]


def once(path: Path, *results: RoundResult) -> Store:
    """A store with one run."""
    store = stores.begun(path)
    store.add_results("run-1", results)
    return store


def twice(path: Path, before: Sequence[RoundResult], after: Sequence[RoundResult]) -> Path:
    """A store with a run, and an hour later another that adds rounds."""
    store = once(path, *before)
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_results("run-2", after)
    return path


def two_runs(path: Path, before: Day, after: Day) -> Path:
    """Two runs that measured the same trial."""
    later = after.results(trial(), first_round=before.rounds)
    return twice(path, before.results(trial()), later)


def compared(
    path: Path, of: str = "run-2", against: str = "run-1", limit: float = 0.05
) -> Contrast:
    return contrast(*sides(of, against, path), [DECODE], limit)


def two_builds() -> tuple[Engine, Engine]:
    old, new = (replace(support.engine(), build=f"{each}00000000000") for each in "ab")
    return old, new


def middle(cell: MetricContrast) -> float:
    assert cell.ratio is not None
    return cell.ratio.middle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


def test_rounds_of_one_trial_are_compared_by_run(path: Path) -> None:
    found = compared(two_runs(path, Day(), Day(speed=0.8, seed=1)))
    (cell,) = found.cells
    assert middle(cell) == pytest.approx(0.8, abs=0.02)
    assert cell.standing is ChangeVerdict.WORSE
    assert found.regressions == (cell,)
    (back,) = compared(path, "run-1", "run-2").cells
    assert middle(back) == pytest.approx(1 / middle(cell))
    assert back.standing is ChangeVerdict.BETTER


@pytest.mark.parametrize(
    ("speed", "standing"), [(0.97, "alike"), (1.0, "alike"), (0.93, "worse"), (1.10, "better")]
)
def test_a_change_within_the_limit_is_none(path: Path, speed: float, standing: str) -> None:
    day = Day(spread=0.002, rounds=6)
    (cell,) = compared(two_runs(path, day, replace(day, speed=speed, seed=1))).cells
    assert cell.standing == standing


def test_a_change_that_is_not_sure_is_undecided(path: Path) -> None:
    found = compared(two_runs(path, Day(spread=0.2, rounds=2), Day(0.9, 0.2, 2, 1)))
    assert found.cells[0].standing is ChangeVerdict.UNDECIDED
    assert found.regressions == ()


def test_regressions_come_first_and_the_worst_of_them_before_all(path: Path) -> None:
    speeds = {"Q8_0": 1.0, "Q4_0": 0.8, "Q2_K": 0.5}
    before = Day().results(*map(trial, speeds))
    after = [
        result
        for kind, speed in speeds.items()
        for result in Day(speed, seed=1).results(trial(kind), first_round=4)
    ]
    found = compared(twice(path, before, after))
    assert [cell.quantization for cell in found.cells] == ["Q2_K", "Q4_0", "Q8_0"]
    assert len(found.regressions) == 2


def test_what_is_better_when_lower_regresses_upwards(path: Path) -> None:
    two_runs(path, Day(), Day(speed=0.8, seed=1))
    (cell,) = contrast(*sides("run-2", "run-1", path), [metric("tpot_s")], 0.05).cells
    assert middle(cell) == pytest.approx(1.25, abs=0.03)
    assert cell.standing is ChangeVerdict.WORSE


def test_hardly_ever_is_a_change_seen_where_there_is_none(path: Path) -> None:
    kinds = [trial(kind) for kind in support.BPW]
    after = Day(spread=0.03, seed=1).results(*kinds, first_round=4)
    twice(path, Day(spread=0.03).results(*kinds), after)
    cells = contrast(*sides("run-2", "run-1", path), [DECODE, PREFILL], 0.0).cells
    assert len(cells) == 16
    assert sum(cell.standing is not ChangeVerdict.UNDECIDED for cell in cells) <= 2


def test_devices_are_compared_where_they_measured_the_same(path: Path) -> None:
    store = stores.begun(path, support.device(), support.device("other"))
    mine = [trial(), trial("Q8_0")]
    theirs = [trial(device_id="id-of-other"), trial("Q2_K", device_id="id-of-other")]
    store.add_results("run-1", [*Day().results(*mine), *Day(2.0).results(*theirs)])
    found = compared(path, "other", "laptop")
    (cell,) = found.cells
    assert middle(cell) == pytest.approx(2, abs=0.05)
    assert (cell.device, cell.quantization) == ("other against laptop", "Q4_0")
    assert [len(found.only_of), len(found.only_against)] == [1, 1]
    assert "Q2_K" in found.only_of[0]


def test_devices_of_other_cores_are_compared_and_that_is_told(path: Path) -> None:
    store = stores.begun(path, support.device(), support.device("other"))
    mine = trial()
    theirs = trial(device_id="id-of-other", engine=support.engine(threads=8))
    store.add_results("run-1", [*Day().results(mine), *Day(2.0).results(theirs)])
    (cell,) = compared(path, "other", "laptop").cells
    assert cell.differing == "threads 8 against 2"


def test_threads_are_no_obstacle_only_where_nothing_else_is_in_common(path: Path) -> None:
    two, eight = trial(), trial(engine=support.engine(threads=8))
    twice(path, Day().results(two, eight), Day(seed=1).results(two, first_round=4))
    found = compared(path)
    assert [cell.configuration for cell in found.cells] == ["llama_cpp, 2 threads"]
    assert len(found.only_against) == 1


def test_engines_are_compared_where_settings_agree_that_both_have(path: Path) -> None:
    more = replace(OPENVINO, settings={"threads": 4, "device": "CPU"})
    once(
        path,
        *Day().results(trial()),
        *Day(0.5).results(trial(engine=OPENVINO)),
        *Day(0.9).results(trial(engine=more)),
    )
    (cell,) = compared(path, "openvino", "llama_cpp").cells
    assert middle(cell) == pytest.approx(0.5, abs=0.02)
    assert cell.against == "llama_cpp, 2 threads"


def test_versions_of_an_engine_are_compared(path: Path) -> None:
    new = replace(support.engine(), version="0.4.0")
    once(path, *Day().results(trial()), *Day(0.7).results(trial(engine=new)))
    (cell,) = compared(path, "0.4.0", "0.3.36").cells
    assert cell.standing is ChangeVerdict.WORSE
    assert cell.differing == "engine version"


def test_builds_of_one_version_are_compared(path: Path) -> None:
    old, new = two_builds()
    once(path, *Day().results(trial(engine=old)), *Day(0.7).results(trial(engine=new)))
    (cell,) = compared(path, new.build[:4], old.build[:4]).cells
    assert cell.standing is ChangeVerdict.WORSE
    assert cell.differing == "engine build"


def test_figures_without_their_repeats_are_compared_by_their_intervals(tmp_path: Path) -> None:
    old, new = two_builds()
    measured, file = tmp_path / "measured.duckdb", tmp_path / "rows.parquet"
    once(measured, *Day().results(trial(engine=old)), *Day(0.7).results(trial(engine=new)))
    export(file, ExportOptions(store=measured), Console(quiet=True))
    store = Store.open(tmp_path / "s.duckdb")
    assert import_file(file, store).whole
    (cell,) = compared(tmp_path / "s.duckdb", new.build, old.build).cells
    (by_repeats,) = compared(measured, new.build, old.build).cells
    assert middle(cell) == pytest.approx(middle(by_repeats))
    assert cell.standing is ChangeVerdict.WORSE


def test_builds_have_checks_of_their_own_of_one_file(path: Path) -> None:
    old, new = two_builds()
    store = once(path, *Day().results(trial(engine=old), trial(engine=new)))
    for engine, value in ((old, 12.5), (new, 14.0)):
        check = replace(support.quality_check(), engine=engine)
        score = Score("perplexity", value, 0.2, 10_000)
        store.add_quality("run-1", QualityResult(check, (score,), wall_s=1.0))
    (cell,) = contrast(*sides(new.build, old.build, path), [PERPLEXITY], 0.05).cells
    assert middle(cell) == pytest.approx(14 / 12.5)


def test_stores_are_compared_with_each_other(tmp_path: Path) -> None:
    new, old = tmp_path / "new.duckdb", tmp_path / "old.duckdb"
    once(old, *Day().results(trial()))
    once(new, *Day(0.8, seed=1).results(trial()))
    (by_file,) = contrast(*sides(str(new), str(old), tmp_path / "none"), [DECODE], 0.05).cells
    (by_name,) = contrast(*sides("laptop", "laptop", new, old), [DECODE], 0.05).cells
    assert middle(by_file) == middle(by_name) == pytest.approx(0.8, abs=0.02)


def test_perplexities_are_compared_with_their_standard_errors(tmp_path: Path) -> None:
    found = []
    for name, value in (("new", 14.0), ("old", 12.5)):
        store = once(tmp_path / name, *Day().results(trial()))
        store.add_quality("run-1", support.quality_result(value=value))
        found.append(str(tmp_path / name))
    new, old = found
    (cell,) = contrast(*sides(new, old, tmp_path / "none"), [PERPLEXITY], 0.05).cells
    assert middle(cell) == pytest.approx(14 / 12.5)
    assert cell.ratio is not None
    assert cell.ratio.low is not None
    away = 1.96 * math.hypot(0.2 / 14, 0.2 / 12.5)
    assert cell.ratio.low == pytest.approx(14 / 12.5 * math.exp(-away), rel=1e-4)
    assert cell.standing is ChangeVerdict.WORSE


def test_two_runs_share_the_check_of_a_file(path: Path) -> None:
    two_runs(path, Day(), Day(seed=1))
    (cell,) = contrast(*sides("run-2", "run-1", path), [PERPLEXITY], 0.05).cells
    assert cell.ratio is None
    assert cell.reason == "Perplexity: both have the same check of the same file"


def test_memory_has_a_ratio_and_says_why_it_has_no_interval(path: Path) -> None:
    two_runs(path, Day(), Day(seed=1))
    (cell,) = contrast(*sides("run-2", "run-1", path), [MEMORY], 0.05).cells
    assert middle(cell) == 1
    assert cell.standing is ChangeVerdict.UNDECIDED
    assert "an interval needs 6 repeats" in cell.reason


def test_energy_that_nobody_has_is_told(path: Path) -> None:
    two_runs(path, Day(), Day(seed=1))
    energy = metric("decode_j_per_token")
    (cell,) = contrast(*sides("run-2", "run-1", path), [energy], 0.05).cells
    assert (cell.ratio, cell.reason) == (None, "Decode energy per token: no powercap here")


def test_nothing_in_common_is_told(path: Path) -> None:
    long = trial("Q8_0", workload=Workload("long", 512, 64))
    twice(path, Day().results(trial()), Day().results(long))
    with pytest.raises(UsageError, match="no model, type and workload in common"):
        compared(path)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("run-1", "run run-1"),
        ("laptop", "device laptop"),
        ("lap", "device laptop"),
        ("id-of", "device id id-of-laptop"),
        ("llama_cpp", "engine llama_cpp"),
        ("0.3", "version 0.3.36+abc1234"),
    ],
)
def test_a_name_stands_for_what_it_is_or_begins(path: Path, text: str, label: str) -> None:
    once(path, *Day(rounds=1).results(trial()))
    assert Named.load(path).side(text).label == label


def test_a_name_that_may_be_several_things_is_refused(path: Path) -> None:
    two_runs(path, Day(rounds=1), Day(rounds=1))
    with pytest.raises(UsageError, match="may mean run run-1 or run run-2"):
        Named.load(path).side("run")


def test_a_name_of_nothing_gets_what_may_have_been_meant(path: Path) -> None:
    once(path, *Day(rounds=1).results(trial()))
    with pytest.raises(UsageError) as raised:
        Named.load(path).side("labtop")
    assert raised.value.remedy == "did you mean laptop?"


def test_a_store_without_figures_has_nothing_to_compare(path: Path) -> None:
    stores.begun(path).add_plan("run-1", [trial()], 1)
    with pytest.raises(UsageError, match="nothing is measured"):
        Named.load(path)
