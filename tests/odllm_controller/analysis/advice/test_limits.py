"""Limits as people write them."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_controller.analysis.advice.limits import Limit, parse
from odllm_controller.metrics import METRICS, Better, metric

MEMORY, TTFT, POWER = metric("peak_rss_bytes"), metric("ttft_s"), metric("mean_w")
DECODE, ACCURACY = metric("decode_tok_s"), metric("accuracy")


@pytest.mark.parametrize(
    ("text", "of", "bound"),
    [
        ("8GB", MEMORY, 8e9),
        ("8GiB", MEMORY, 8 * 2**30),
        ("500MB", MEMORY, 5e8),
        (" 1.5 gb ", MEMORY, 1.5e9),
        ("2s", TTFT, 2.0),
        ("300ms", TTFT, 0.3),
        ("0.5min", TTFT, 30.0),
        ("15W", POWER, 15.0),
        ("15", POWER, 15.0),
        ("15000mW", POWER, 15.0),
        ("10", DECODE, 10.0),
        ("10tok/s", DECODE, 10.0),
        ("60%", ACCURACY, 0.6),
        ("12.5", metric("perplexity"), 12.5),
        ("5mnat", metric("kld"), 0.005),
        ("500mJ", metric("decode_j_per_token"), 0.5),
        ("1e3", DECODE, 1000.0),
        ("55%", metric("task:gsm8k"), 0.55),
    ],
)
def test_a_number_with_a_unit_is_a_bound(text: str, of: object, bound: float) -> None:
    assert parse(text, of).bound == pytest.approx(bound)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "of", "why"),
    [
        ("8", MEMORY, "it has no unit"),
        ("2", TTFT, "it has no unit"),
        ("60", ACCURACY, "it has no unit"),
        ("8GW", MEMORY, "'GW' is no unit of it"),
        ("2Ms", TTFT, "'Ms' is no unit of it"),
        ("15s", POWER, "'s' is no unit of it"),
        ("", MEMORY, "no number"),
        ("much", DECODE, "no number"),
        ("1e999", DECODE, "too large"),
        ("nan", DECODE, "no number"),
    ],
)
def test_what_is_no_limit_is_named_with_an_example(text: str, of: object, why: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text, of)  # type: ignore[arg-type]
    assert repr(text) in raised.value.message
    assert why in raised.value.message
    assert raised.value.remedy.startswith("write it as ")


def test_every_metric_has_an_example_that_is_a_limit_of_it() -> None:
    for each in METRICS:
        with pytest.raises(UsageError) as raised:
            parse("?", each)
        example = raised.value.remedy.removeprefix("write it as ").split(" or ")[-1]
        assert parse(example, each).bound > 0


@given(st.floats(1e-6, 1e12), st.sampled_from(METRICS))
def test_a_relaxed_bound_lets_the_value_pass_and_is_not_far_from_it(
    value: float, of: object
) -> None:
    found = Limit(of, 1.0).relaxed_to(value)  # type: ignore[arg-type]
    passes = found <= value * (1 + 1e-12) if _is_higher(of) else found >= value * (1 - 1e-12)
    assert passes
    assert math.isclose(found, value, rel_tol=0.011)


@given(st.text())
def test_any_text_is_a_limit_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert math.isfinite(parse(text, MEMORY).bound)


def test_a_limit_says_what_it_asks_for() -> None:
    assert str(parse("8GB", MEMORY)) == "Peak memory at most 8,000 MB"
    assert str(parse("10", DECODE)) == "Decode speed at least 10.0 tok/s"


def _is_higher(of: object) -> bool:
    return of.better is Better.HIGHER  # type: ignore[attr-defined]
