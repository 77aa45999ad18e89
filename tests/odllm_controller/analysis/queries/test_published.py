"""The paper's figures: what was quoted, and nothing beside."""

import pytest

from odllm_agent.contract import ModelFile, ModelRequest, Quantization, Source
from odllm_agent.simulation.outlines import Outlines
from odllm_controller.analysis.queries.published import Published, published
from odllm_controller.metrics import METRICS

FIGURES = [each for metric in METRICS for each in published(metric.name)]


def of(metric: str, model: str, quantization: str) -> Published:
    (found,) = (
        each
        for each in published(metric)
        if (each.model, each.quantization) == (model, quantization)
    )
    return found


def test_figures_are_in_the_units_of_their_columns() -> None:
    assert of("accuracy", "qwen2.5-1.5B", "Q4_K_M").value == pytest.approx(0.5277)
    assert of("peak_rss_bytes", "qwen2.5-7B", "Q4_0").value == pytest.approx(6.91e9)


def test_a_range_has_ends_and_no_middle() -> None:
    (power,) = published("mean_w")
    assert (power.value, power.low, power.high) == (None, 7.9, 9.5)
    assert (power.quantization, power.file_bpw) == (None, None)


def test_all_that_was_quoted_is_there_and_nothing_of_other_metrics() -> None:
    assert len(FIGURES) == 15
    assert published("decode_tok_s") == ()


def test_every_figure_has_either_a_value_or_a_range_and_says_how_sure_it_is() -> None:
    for each in FIGURES:
        assert (each.value is None) == (each.low is not None)
        assert "third parties" in each.certainty
        assert "2505.15030" in each.source


@pytest.mark.parametrize(("model", "quantization"), [("qwen2.5-0.5B", "Q2_K")])
def test_bits_per_weight_are_those_of_the_architecture(model: str, quantization: str) -> None:
    request = ModelRequest(model, Source.SHAPE, model, Quantization(quantization))
    file = Outlines().of(request)
    assert isinstance(file, ModelFile), file
    bits = 8 * file.weight_bytes / file.n_weights
    assert of("accuracy", model, quantization).file_bpw == pytest.approx(bits, rel=2e-4)
