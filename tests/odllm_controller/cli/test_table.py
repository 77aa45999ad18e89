import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from odllm_agent.contract import (
    Exam,
    Method,
    Phase,
    QualityCheck,
    QualityResult,
    RoundResult,
    Score,
)
from odllm_controller.analysis.claims.drift import Drift
from odllm_controller.analysis.queries import results
from odllm_controller.cli.table import (
    Column,
    console,
    drift_line,
    pages,
    print_results,
    significant,
)
from odllm_controller.store import Store
from tests import support
from tests.stores import run

MODELS = [support.model_file(quantization=kind) for kind in ("Q8_0", "Q4_0")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(tmp_path / "odllm.duckdb")
    store.add_run(run("run-1"))
    store.add_device("run-1", support.device())
    store.add_plan("run-1", [support.trial(model) for model in MODELS], rounds=1)
    return store


def printed(store: Store, width: int = 200) -> str:
    paper = io.StringIO()
    print_results(
        Console(file=paper, width=width), store.path, "run-1", results.load(store.path, "run-1")
    )
    return paper.getvalue()


def measured(kind: int, round_index: int = 0, **times: float) -> RoundResult:
    repeats = tuple(support.repeat(index, **times) for index in range(1, 8))
    return support.round_result(support.trial(MODELS[kind]), round_index, repeats)


def test_figures_are_shown_in_their_units(store: Store) -> None:
    for index in range(2):
        store.add_round("run-1", measured(0, index, prefill_s=0.1, token_s=0.01))
    scores = [("perplexity", 12.3456), ("kld", 0.00789), ("accuracy", 0.625)]
    result = support.quality_result(MODELS[0])
    found = tuple(Score(name, value, 0.1, 99) for name, value in scores)
    store.add_quality("run-1", replace(result, scores=found[:2]))
    exam = QualityCheck("id-of-laptop", MODELS[0], support.engine(), exam=Exam("mine", "", None))
    store.add_quality("run-1", QualityResult(exam, found[2:]))
    text = printed(store)
    assert "TTFT ms" in text
    assert "101.00" in text
    assert "1,280 [1,280, 1,280]" in text
    assert "100 [100, 100]" in text
    assert "12.346" in text
    assert "7.89" in text
    assert "62.5" in text
    assert " 90 " in text


def test_a_single_round_has_no_interval_and_says_why(store: Store) -> None:
    store.add_round("run-1", measured(0))
    text = printed(store)
    assert " 100 " in text
    assert "no interval: an interval needs 2 rounds, and there is 1" in text
    assert "drift on laptop: undecided, too little was measured in two rounds of this run" in text


def test_two_settings_of_one_file_are_compared(store: Store) -> None:
    for index in range(2):
        store.add_round("run-1", measured(0, index))
        other = measured(0, index, token_s=0.005)
        store.add_round("run-1", replace(other, trial=support.trial(MODELS[0], threads=4)))
    store.add_plan("run-1", [support.trial(MODELS[0], threads=4)], rounds=2)
    text = printed(store)
    heading, _, line = text[text.index("Ratios of medians") :].splitlines()[:3]
    assert heading == "Ratios of medians [95 %], against llama_cpp, 2 threads"
    assert "llama_cpp, 4 threads" in line
    assert line.split()[-6:] == ["1.00", "[1.00,", "1.00]", "2.00", "[2.00,", "2.00]"]


def test_one_configuration_is_compared_with_nothing(store: Store) -> None:
    store.add_round("run-1", measured(0))
    assert "Ratios" not in printed(store)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            Drift("laptop", 2.0, -0.05, -0.08, -0.02),
            "decode speed changed by -9.5 % [-14.8, -3.9] in 120 min, -4.9 % per hour. Rounds of "
            "shuffled order keep comparisons fair; for absolute figures let the device come to "
            "rest and measure again",
        ),
        (
            Drift("laptop", 0.5, 0.01, -0.02, 0.03),
            "none seen, decode speed changed by +0.5 % [-1.0, +1.5] in 30 min",
        ),
        (
            Drift("laptop", 0.5, 0.01, -0.1, 0.2),
            "undecided, decode speed changed by +0.5 % [-4.9, +10.5] in 30 min; "
            "more rounds would tell",
        ),
        (
            Drift("laptop", 0.5),
            "undecided, too little was measured in two rounds of this run; more rounds would tell",
        ),
    ],
)
def test_a_drift_is_told_in_one_line_with_what_to_do(found: Drift, told: str) -> None:
    assert drift_line(found) == f"drift on laptop: {told}"


def test_what_was_not_measured_is_a_dash_and_energy_says_why(store: Store) -> None:
    store.add_round("run-1", measured(0))
    text = printed(store)
    assert "–" in text
    assert "energy: unavailable, no powercap here" in text
    assert " 0.0 " not in text


def test_energy_is_shown_where_it_was_measured(store: Store) -> None:
    repeats = tuple(
        support.repeat(index, energy=support.some_energy(1.0, 0.64)) for index in range(1, 8)
    )
    for model in MODELS:
        store.add_round("run-1", support.round_result(support.trial(model), repeats=repeats))
    text = printed(store)
    assert text.count("10 ±1") == 2, "also where all trials agree"
    assert "unavailable" not in text
    assert "estimated" not in text


def test_energy_that_was_estimated_says_so(store: Store) -> None:
    energy = tuple(
        replace(figure, method=Method.ESTIMATED) for figure in support.some_energy(1.0, 0.64)
    )
    repeats = (support.repeat(1, energy=energy),)
    store.add_round("run-1", support.round_result(support.trial(MODELS[0]), repeats=repeats))
    assert "energy: estimated from stated watts, not measured" in printed(store)


def test_every_phase_has_its_energy_and_how_far_off_it_may_be(store: Store) -> None:
    figures = support.some_energy(prefill_j=1.28, decode_j=0.64)
    repeats = tuple(support.repeat(index, energy=figures) for index in range(1, 8))
    result = support.round_result(support.trial(MODELS[0]), repeats=repeats)
    assert result.loaded is not None
    load = support.energy(Phase.LOAD, 4.5)
    store.add_round("run-1", replace(result, loaded=replace(result.loaded, energy=(load,))))
    text = printed(store, width=400)
    for heading in ("load J", "prefill mJ/tok", "decode mJ/tok", "prefill W", "decode W"):
        assert heading in text
    (line,) = (line for line in text.splitlines() if "Q8_0" in line and "4.5" in line)
    assert line.split()[-8:] == ["4.5", "±0.5", "10", "±1", "10", "±1", "12.8", "1"]


def test_energy_that_some_trials_lack_is_a_column(store: Store) -> None:
    energy = support.some_energy(1.0, 0.64)
    repeats = tuple(support.repeat(index, energy=energy) for index in range(1, 8))
    store.add_round("run-1", support.round_result(support.trial(MODELS[0]), repeats=repeats))
    store.add_round("run-1", measured(1))
    text = printed(store)
    assert "decode mJ/tok" in text
    assert " unavailable" in text


def test_a_narrow_terminal_gets_every_figure_whole_below_each_other(store: Store) -> None:
    store.add_round("run-1", measured(0))
    wide, narrow = printed(store), printed(store, width=60)
    assert "…" not in narrow
    assert max(map(len, narrow.splitlines())) <= 60
    assert set(wide.split()) == set(narrow.split())
    assert narrow.count("reference-1.6M  Q8_0") > 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(10, 120))
def test_parts_hold_every_column_once_in_order_and_fit(widths: list[int], width: int) -> None:
    key = Column("name", lambda _: "n", key=True)
    columns = [Column("x" * each, lambda _: "") for each in widths]
    parts = list(pages([key, *columns], [{}], width))
    assert all(part[0] is key for part in parts)
    assert [each for part in parts for each in part[1:]] == columns
    for part in parts:
        taken = sum(each.width([{}]) + 2 for each in part) - 2
        assert taken <= width or len(part) == 2


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console().width >= 1000
    monkeypatch.setenv("COLUMNS", "90")
    assert console().width == 90


def test_every_planned_trial_has_a_line_from_most_to_fewest_bits(store: Store) -> None:
    text = printed(store)
    assert text.index("Q8_0") < text.index("Q4_0")
    assert "planned" not in text or text.count("planned") == 2


def test_what_was_skipped_has_a_line_too(store: Store) -> None:
    store.add_round("run-1", measured(0))
    left_out = support.trial(support.model_file(quantization="Q2_K"))
    store.add_skips("run-1", [support.skip(left_out)])
    text = printed(store)
    (line,) = (line for line in text.splitlines() if "Q2_K" in line)
    assert "skipped" in line
    assert "3.00" in line
    assert "J/tok" not in text, "of what was measured no energy is known"


def test_enough_types_show_how_time_grows_with_bits(store: Store) -> None:
    for kind, token_s in (("F16", 0.034), ("Q8_0", 0.019), ("Q4_0", 0.011), ("Q2_K", 0.008)):
        trial = support.trial(support.model_file(quantization=kind))
        store.add_plan("run-1", [trial], rounds=1)
        repeats = tuple(support.repeat(index, token_s=token_s) for index in range(1, 8))
        store.add_round("run-1", support.round_result(trial, repeats=repeats))
    text = printed(store)
    head, *lines = text[text.index("ms/tok per bit") :].splitlines()
    assert head.split()[-1] == "R2"
    assert [line.split() for line in lines if "decode" in line] == [
        ["reference-1.6M", "decode", "all", "4", "2.00", "[2.00,", "2.00]", "2.00", "1.000"],
        [
            *["reference-1.6M", "decode", "without", "F16", "3"],
            *["2.00", "[2.00,", "2.00]", "2.00", "1.000"],
        ],
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.00"),
        (0.00012345, "0.000123"),
        (-0.0456, "-0.0456"),
        (2.0, "2.00"),
        (99.96, "100.0"),
        (12345.6, "12,346"),
    ],
)
def test_three_digits_count_whatever_the_size(value: float, shown: str) -> None:
    assert significant(value) == shown


def test_too_few_types_show_no_line(store: Store) -> None:
    store.add_round("run-1", measured(0))
    assert "least squares" not in printed(store)


def test_a_shape_says_why_it_has_no_quality(store: Store) -> None:
    model = replace(support.model_file("shape"), no_quality="its weights are random")
    store.add_plan("run-1", [support.trial(model)], rounds=1)
    assert "perplexity: unavailable, its weights are random" in printed(store)


def test_a_run_without_trials_prints_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "empty.duckdb")
    store.add_run(run("run-1"))
    assert printed(store) == ""
