"""What steps cost and save: by hand."""

import pandas as pd
import pytest

from odllm_controller.analysis.claims.steps import TypeStep, descents, steps
from tests.result_frames import frame

TYPES = {"F16": (16.0, 0.80), "Q8_0": (8.0, 0.79), "Q4_0": (4.0, 0.70)}


def rows(**changes: object) -> pd.DataFrame:
    return frame(
        *(
            {
                "quantization": kind,
                "file_bpw": bpw,
                "file_bytes": bpw * 1e8,
                "peak_rss_bytes": bpw * 1e8 + 4e8,
                "accuracy": accuracy,
                "accuracy_se": 0.03,
                **changes,
            }
            for kind, (bpw, accuracy) in TYPES.items()
        )
    )


def test_a_step_goes_from_each_type_to_the_next() -> None:
    first, second = steps(rows())
    assert (first.more, first.less, second.more, second.less) == ("F16", "Q8_0", "Q8_0", "Q4_0")
    assert (first.more_bpw, first.less_bpw) == (16.0, 8.0)
    assert first.lost == pytest.approx(0.01)
    assert second.lost == pytest.approx(0.09)
    assert (first.file_saved, second.file_saved) == (0.5, 0.5)
    assert first.memory_saved == pytest.approx(0.4)
    assert first.weights_share == pytest.approx(0.8)


def test_a_descent_goes_from_the_most_bits_to_each_other_type() -> None:
    found = descents(rows())
    assert [(each.more, each.less) for each in found] == [("F16", "Q8_0"), ("F16", "Q4_0")]
    assert found[1].lost == pytest.approx(0.10)
    assert found[1].file_saved == pytest.approx(0.75)


def test_errors_of_both_types_add_up_as_independent_ones_do() -> None:
    first, _ = steps(rows())
    assert first.lost_low == pytest.approx(0.01 - 1.96 * 0.03 * 2**0.5)
    assert first.lost_high == pytest.approx(0.01 + 1.96 * 0.03 * 2**0.5)


def one(quality: str, **columns: list[float]) -> TypeStep:
    bare = rows(quality_text="mine", accuracy=None)
    found = steps(bare.assign(**{name: pd.Series(each) for name, each in columns.items()}))
    (step,) = (each for each in found if (each.quality, each.more) == (quality, "F16"))
    return step


def test_perplexity_rises_as_a_fraction() -> None:
    step = one("perplexity", perplexity=[8.0, 10.0, 20.0], perplexity_se=[0.08, 0.1, 0.2])
    assert step.lost == pytest.approx(0.25)
    # Both are known to 1 %, so their ratio of 1.25 to 1.41 % of it.
    assert step.lost_high == pytest.approx(0.25 + 1.96 * 1.25 * 0.01 * 2**0.5)


def test_kl_divergence_and_the_right_tokens_probability_are_lost_against_the_source() -> None:
    assert one("kld", kld=[0.0, 0.1, 0.4], kld_se=[0.0, 0.01, 0.02]).lost == pytest.approx(0.1)
    lost = one("delta_p", delta_p=[0.0, -0.02, -0.1], delta_p_se=[0.0, 0.001, 0.001])
    assert lost.lost == pytest.approx(0.02)


def test_without_errors_a_loss_has_no_interval() -> None:
    first, _ = steps(rows(accuracy_se=None))
    assert first.lost == pytest.approx(0.01)
    assert (first.lost_low, first.lost_high) == (None, None)


def test_without_scores_memory_is_still_told_and_why_there_are_none() -> None:
    bare = rows(accuracy=None, perplexity_reason="its weights are random")
    first, _ = steps(bare)
    assert (first.quality, first.lost) == (None, None)
    assert first.memory_saved == pytest.approx(0.4)
    assert first.score_reason == "its weights are random"


def test_scores_of_different_tasks_are_not_compared() -> None:
    tasks = ['{"a": 0.8}', '{"b": 0.8}', '{"b": 0.7}']
    first, second = steps(rows().assign(accuracies=tasks))
    assert first.score_reason == "no score of both on the same text or tasks"
    assert second.lost == pytest.approx(0.09)


def test_missing_memory_is_not_zero() -> None:
    first, _ = steps(rows(peak_rss_bytes=None))
    assert (first.memory_saved, first.weights_share) == (None, None)


def test_models_and_devices_are_never_mixed() -> None:
    table = pd.concat([rows(), rows(model="other")[:1], rows(device="two")[:1]])
    assert len(steps(table.reset_index(drop=True))) == 2
