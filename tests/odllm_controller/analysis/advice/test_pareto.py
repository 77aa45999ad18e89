"""Fronts that are known beforehand, by hand, by properties and over many seeds."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_controller.analysis.advice.pareto import Dominance, ParetoPlace, front
from odllm_controller.metrics import metric
from tests.odllm_controller.analysis.offers import alike, noisy, offer, offers, scored

SPEED, MEMORY, PERPLEXITY = map(metric, ("decode_tok_s", "peak_rss_bytes", "perplexity"))
Figures = tuple[float, float, float]
KNOWN = st.lists(
    st.tuples(st.floats(1, 100), st.floats(1, 100), st.floats(1, 100)), min_size=2, max_size=12
)


def standings(rows: pd.DataFrame, *metrics: object) -> list[Dominance]:
    return [place.standing for place in front(rows, metrics or (SPEED, MEMORY))]  # type: ignore[arg-type]


def test_what_is_slower_and_larger_is_off_the_front_and_told_by_what() -> None:
    rows = offers(
        offer("small", decode_tok_s=(50, 0.01), peak_rss_bytes=1e9),
        offer("fast", decode_tok_s=(100, 0.01), peak_rss_bytes=2e9),
        offer("bad", decode_tok_s=(40, 0.01), peak_rss_bytes=3e9),
    )
    small, fast, bad = front(rows, (SPEED, MEMORY))
    assert [small.standing, fast.standing, bad.standing] == ["on", "on", "off"]
    assert bad.dominated_by in {
        "small Q4_0, llama_cpp, 2 threads",
        "fast Q4_0, llama_cpp, 2 threads",
    }
    assert bad.dominated == pytest.approx(1)
    assert (small.dominated_by, small.dominated) == (None, None)


def test_what_may_be_better_or_worse_is_undecided() -> None:
    rows = offers(
        offer("a", decode_tok_s=(50, 0.2), peak_rss_bytes=1e9),
        offer("b", decode_tok_s=(45, 0.2), peak_rss_bytes=2e9),
    )
    a, b = front(rows, (SPEED, MEMORY))
    assert a.standing is Dominance.ON
    assert b.standing is Dominance.UNDECIDED
    assert b.dominated == pytest.approx(0.645, abs=0.01), "z = ln(50 / 45) / (0.2 sqrt 2)"


def test_one_alone_has_no_place_on_a_front() -> None:
    unplaced = offer("b", decode_tok_s=40.0)
    for rows in (offers(offer("a", decode_tok_s=50.0, peak_rss_bytes=1e9)),):
        (place,) = front(rows, (SPEED, MEMORY))
        assert place.standing is Dominance.NOT_PLACED
        assert place.reason == "there is nothing else to compare it with"
    both = front(
        offers(offer("a", decode_tok_s=50.0, peak_rss_bytes=1e9), unplaced), (SPEED, MEMORY)
    )
    assert {place.standing for place in both} == {Dominance.NOT_PLACED}


def test_equals_do_not_push_each_other_off() -> None:
    alike = {"decode_tok_s": 50.0, "peak_rss_bytes": 1e9}
    assert standings(offers(offer("a", **alike), offer("b", **alike))) == ["on", "on"]


def test_each_metric_has_its_own_direction() -> None:
    rows = offers(
        offer("a", decode_tok_s=50.0, **scored("perplexity", 10.0, 0.01)),
        offer("b", decode_tok_s=40.0, **scored("perplexity", 12.0, 0.01)),
    )
    assert standings(rows, SPEED, PERPLEXITY) == ["on", "off"]


def test_a_third_metric_can_keep_one_on_the_front() -> None:
    rows = offers(
        offer("a", decode_tok_s=50.0, peak_rss_bytes=1e9, perplexity=12.0),
        offer("b", decode_tok_s=40.0, peak_rss_bytes=2e9, perplexity=10.0),
    )
    assert standings(rows) == ["on", "off"]
    assert standings(rows, SPEED, MEMORY, PERPLEXITY) == ["on", "on"]


def test_a_missing_figure_has_no_place_but_a_reason() -> None:
    rows = offers(
        offer("a", decode_tok_s=50.0, mean_w=10.0, energy_method="measured"),
        offer("b", decode_tok_s=60.0, energy_reason="no meter"),
        offer("c", decode_tok_s=40.0, mean_w=20.0, energy_method="measured"),
    )
    a, b, c = front(rows, (SPEED, metric("mean_w")))
    assert (a.standing, c.standing) == (Dominance.ON, Dominance.OFF)
    assert (b.standing, b.reason) == (Dominance.NOT_PLACED, "Mean power: no meter")


def test_measured_energy_is_not_set_against_an_estimate() -> None:
    rows = offers(
        offer("a", decode_tok_s=50.0, mean_w=10.0, energy_method="measured"),
        offer("b", decode_tok_s=60.0, mean_w=5.0, energy_method="estimated"),
    )
    _, b = front(rows, (SPEED, metric("mean_w")))
    assert b.standing is Dominance.NOT_PLACED
    assert b.reason == "Mean power: its figure is estimated, those of others measured"


def test_devices_and_workloads_have_fronts_of_their_own() -> None:
    best, worse = (
        {"decode_tok_s": 50.0, "peak_rss_bytes": 1.0},
        {
            "decode_tok_s": 40.0,
            "peak_rss_bytes": 2.0,
        },
    )
    rows = offers(
        offer("a", **best),
        offer("b", device="other", **worse),
        offer("c", workload_label="long", **worse),
        offer("d", **worse),
        offer("e", device="other", **worse),
        offer("f", workload_label="long", **worse),
    )
    found = {place.model: place.standing for place in front(rows, (SPEED, MEMORY))}
    assert found == {"a": "on", "b": "on", "c": "on", "d": "off", "e": "on", "f": "on"}


def test_figures_without_spread_are_told() -> None:
    figures = {"decode_tok_s": (5, 0.1), "peak_rss_bytes": 1.0}
    places = front(offers(offer("a", **figures), offer("b", **figures)), (SPEED, MEMORY))
    assert {place.reason for place in places} == {"taken as known, without spread: peak memory"}


@pytest.mark.parametrize("metrics", [(), (SPEED,), (SPEED, SPEED)])
def test_a_front_needs_two_metrics(metrics: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="two metrics"):
        front(offers(offer()), metrics)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(KNOWN)
def test_known_figures_give_the_front_of_the_definition(
    figures: list[Figures],
) -> None:
    found = front(_rows(figures), (SPEED, MEMORY, PERPLEXITY))
    assert [place.standing is Dominance.ON for place in found] == [
        not any(_dominates(other, each) for other in figures) for each in figures
    ]


@settings(max_examples=30)
@given(KNOWN, st.data())
def test_the_best_of_any_metric_is_never_lost(figures: list[Figures], data: st.DataObject) -> None:
    relative = data.draw(st.floats(0, 1))
    found = front(_rows(figures, relative), (SPEED, MEMORY))
    speeds = [speed for speed, *_ in figures]
    best = [place for place, speed in zip(found, speeds, strict=True) if speed == max(speeds)]
    assert any(place.standing is not Dominance.OFF for place in best)


@settings(max_examples=30)
@given(KNOWN, st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(figures: list[Figures], order: list[int]) -> None:
    rows = _rows(figures, 0.1)
    shuffled = rows.iloc[[place for place in order if place < len(rows)]]
    by_trial = {place.trial_id: place.standing for place in front(shuffled, (SPEED, MEMORY))}
    assert by_trial == {place.trial_id: place.standing for place in front(rows, (SPEED, MEMORY))}


@pytest.mark.parametrize("n", [2, 6, 20])
def test_of_a_true_front_hardly_any_is_called_off(n: int) -> None:
    """Neighbours differ by far less than they are known, so that chance reorders them."""
    truths = [{"decode_tok_s": 50 * 1.01**place, "ttft_s": 1.01**place} for place in range(n)]
    assert _share(truths, Dominance.OFF) <= 0.05


@pytest.mark.parametrize("n", [6, 20])
def test_of_equals_by_a_known_metric_hardly_any_is_called_off(n: int) -> None:
    truths = [{"decode_tok_s": 50.0} for _ in range(n)]
    assert _share(truths, Dominance.OFF, peak_rss_bytes=1e9) <= 0.05


def test_of_what_is_truly_dominated_hardly_any_is_called_on() -> None:
    best = [{"decode_tok_s": 50.0, "ttft_s": 1.0}]
    near = [{"decode_tok_s": 49.0, "ttft_s": 1.02} for _ in range(5)]
    found = [
        place
        for seed in range(100)
        for place in front(noisy([*best, *near], 0.05, seed), (SPEED, metric("ttft_s")))
        if place.model != "m0"
    ]
    assert np.mean([place.standing is Dominance.ON for place in found]) <= 0.05


def test_what_is_clearly_dominated_is_called_off() -> None:
    truths = [{"decode_tok_s": 50.0, "ttft_s": 1.0}, {"decode_tok_s": 30.0, "ttft_s": 2.0}]
    places = [front(noisy(truths, 0.05, seed), (SPEED, metric("ttft_s")))[1] for seed in range(50)]
    assert all(place.standing is Dominance.OFF for place in places)


def _share(truths: list[dict[str, float]], standing: Dominance, **known: float) -> float:
    metrics = (SPEED, MEMORY if known else metric("ttft_s"))
    found: list[ParetoPlace] = []
    for seed in range(100):
        found += front(noisy(truths, 0.05, seed).assign(**known), metrics)
    return float(np.mean([place.standing is standing for place in found]))


def _rows(figures: list[Figures], relative: float = 0.0) -> pd.DataFrame:
    speeds, bytes_, perplexities = np.array(figures).T
    away = np.exp(1.96 * relative) if relative else np.nan
    return alike(len(figures)).assign(
        decode_tok_s=speeds,
        decode_tok_s_low=speeds / away,
        decode_tok_s_high=speeds * away,
        peak_rss_bytes=bytes_,
        perplexity=perplexities,
    )


def _dominates(one: Figures, other: Figures) -> bool:
    signs = (1, -1, -1)
    ahead = [
        sign * (np.log(a) - np.log(b) if place < 2 else a - b)
        for place, (sign, a, b) in enumerate(zip(signs, one, other, strict=True))
    ]
    return min(ahead) >= 0 and max(ahead) > 0
