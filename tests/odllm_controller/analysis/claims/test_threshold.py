"""The threshold: where a formula puts it, and where nothing tells."""

import math
from collections.abc import Callable

import pandas as pd
import pytest

from odllm_controller.analysis.claims.pairwise import Budget, advantages, duels
from odllm_controller.analysis.claims.threshold import Threshold, thresholds
from odllm_controller.analysis.statistics.standing import Standing
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

TURN_BPW = 3.5


Advantage = Callable[[float], float]


def made(advantage: Advantage, error: float = 0.01) -> pd.DataFrame:
    return frame(*formula.two_sizes(advantage, error, 0))


def many(advantage: Advantage, error: float = 0.01, shared: float = 0.0) -> list[Threshold]:
    """Of a hundred seeds."""
    table = frame(
        *formula.many(lambda seed: formula.two_sizes(advantage, error, seed, shared=shared))
    )
    found = list(thresholds(table))
    assert len(found) == 100
    return found


def only(results: pd.DataFrame) -> Threshold:
    (found,) = thresholds(results)
    return found


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_interval_covers_the_threshold_however_errors_go_together(shared: float) -> None:
    turning = formula.turning_at(TURN_BPW)
    found = many(turning, shared=shared)
    intervals = [(each.low_bpw, each.high_bpw) for each in found]
    assert formula.covered(TURN_BPW, intervals) >= 93
    assert formula.covered(6, intervals) < 50, "the interval says something"
    assert not any(each.standing is Standing.CONTRADICTED for each in found)


def test_a_threshold_where_the_paper_has_it_supports_it() -> None:
    turning = formula.turning_at(TURN_BPW, height=0.3)
    found = many(turning, 0.005)
    assert sum(each.standing is Standing.SUPPORTED for each in found) >= 93
    middle = [each.at_bpw for each in found if each.at_bpw is not None]
    assert sum(middle) / len(middle) == pytest.approx(TURN_BPW, abs=0.1)


def test_a_threshold_elsewhere_contradicts_it() -> None:
    found = many(formula.turning_at(5.2, height=0.3), 0.005)
    assert sum(each.standing is Standing.CONTRADICTED for each in found) >= 93


def test_noise_without_an_advantage_is_undecided() -> None:
    found = many(lambda _: 0)
    assert all(each.standing is Standing.UNDECIDED for each in found)
    unbounded = [each for each in found if each.low_bpw is None and each.high_bpw is None]
    assert len(unbounded) >= 93
    assert "no difference is sure between 2.80 and 6.60 BPW" in unbounded[0].statement


def test_an_advantage_at_every_type_is_told_as_far_as_it_was_measured() -> None:
    found = only(made(lambda _: 0.1))
    assert (found.low_bpw, found.high_bpw, found.at_bpw) == (None, 2.8, None)
    assert found.standing is Standing.CONTRADICTED, "it goes on far below the paper's"
    assert found.is_better_above
    assert found.statement == (
        "made-2B against made-1B at equal bytes (llama_cpp), by accuracy: "
        "better down to at least 2.80 BPW, the fewest compared"
    )


def test_a_larger_model_that_is_never_better_is_told_so() -> None:
    found = only(made(lambda _: -0.1))
    assert (found.low_bpw, found.high_bpw) == (6.6, None)
    assert found.standing is Standing.CONTRADICTED
    assert not found.is_better_above
    assert "not better up to 6.60 BPW at least" in found.statement


def test_an_advantage_that_ends_below_what_was_measured_leaves_it_open() -> None:
    results = made(lambda _: 0.1)
    found = only(results[results["file_bpw"] > 3.2])
    assert (found.low_bpw, found.high_bpw) == (None, 3.6)
    assert found.standing is Standing.UNDECIDED, "it may turn over at 3.5"


def test_an_advantage_that_falls_with_bits_has_no_threshold() -> None:
    found = only(made(lambda bpw: 0.2 * (4 - bpw), 0.001))
    assert (found.at_bpw, found.low_bpw, found.high_bpw) == (None, None, None)
    assert found.reason.startswith("no single threshold fits: ")
    assert found.standing is Standing.UNDECIDED


def test_scores_without_errors_are_taken_as_known_and_this_is_told() -> None:
    results = made(formula.turning_at(TURN_BPW), 0.0).assign(accuracy_se=math.nan)
    found = only(results)
    assert not found.spread
    assert (found.low_bpw, found.high_bpw) == (3.0, 3.6), "between two types nothing was measured"
    assert found.at_bpw == pytest.approx(TURN_BPW, abs=0.05)
    assert found.statement.endswith("taking the scores as known")


def test_the_same_rows_give_the_same_answer_in_any_order() -> None:
    results = made(formula.turning_at(TURN_BPW))
    assert thresholds(results) == thresholds(results.iloc[::-1])


def test_perplexity_decides_by_its_logarithm_and_less_is_better() -> None:
    results = made(formula.turning_at(TURN_BPW), 0.0)
    results = results.assign(
        perplexity=results["accuracy"].map(lambda score: math.exp(-score)),
        perplexity_se=1e-9,
        accuracy=math.nan,
        quality_text="mine",
    )
    found = only(results)
    assert found.quality == "perplexity"
    assert (found.low_bpw, found.high_bpw) == (3.0, 3.6)


def test_at_equal_memory_the_room_is_what_the_process_took() -> None:
    results = made(formula.turning_at(TURN_BPW), 0.001)
    results = results.assign(peak_rss_bytes=results["file_bytes"] + 4e7)
    of_bytes, of_memory = thresholds(results)
    assert (of_bytes.cost, of_memory.cost) == (Budget.BYTES, Budget.MEMORY)
    assert of_bytes.workload_label == ""
    assert of_memory.workload_label == "short: 128 in, 64 out"
    assert of_memory.at_bpw == pytest.approx(TURN_BPW, abs=0.3)


def test_only_what_the_smaller_model_was_measured_at_is_compared() -> None:
    points = advantages(made(formula.turning_at(TURN_BPW)))
    assert [point.quantization for point in points][:2] == ["Q2_K_S", "Q2_K"]
    # F16 of the smaller one is as large as 8 bits of the larger one.
    assert max(point.file_bpw for point in points) == 6.6
    assert all(point.advantage_low < point.advantage < point.advantage_high for point in points)


def test_too_few_types_give_a_reason() -> None:
    results = made(formula.turning_at(TURN_BPW))
    kept = results[(results["model"] == "made-1B") | (results["quantization"] == "Q2_K")]
    found = only(kept)
    assert (found.n, found.at_bpw, found.standing) == (1, None, Standing.UNDECIDED)
    assert found.reason == ("a threshold needs 2 types in the room of both models, and there is 1")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "another-2B"},
        {"model": "nameless"},
        {"device": "other"},
        {"engine": "openvino"},
        {"accuracies": '{"another-task": 0.5}'},
        {"accuracy": math.nan},
    ],
)
def test_what_is_not_alike_is_not_compared(change: dict[str, object]) -> None:
    smaller, larger = (
        [row for row in formula.two_sizes(lambda _: 0, 0.01, 0) if row["model"] == model]
        for model in ("made-1B", "made-2B")
    )
    results = frame(*smaller, *({**row, **change} for row in larger))
    assert thresholds(results) == ()


def test_models_of_one_size_do_not_meet() -> None:
    results = made(lambda _: 0).assign(n_weights=1e9)
    assert list(duels(results)) == []


def test_one_file_on_two_workloads_is_compared_once_by_bytes_and_twice_by_memory() -> None:
    results = made(lambda _: 0.1)
    results = results.assign(peak_rss_bytes=results["file_bytes"])
    both = pd.concat([results, results.assign(workload_label="long")], ignore_index=True)
    found = thresholds(both)
    assert [each.cost for each in found] == [Budget.BYTES, Budget.MEMORY, Budget.MEMORY]
    assert found[0].n == len([kind for kind, bpw in formula.MANY.items() if bpw <= 8])
