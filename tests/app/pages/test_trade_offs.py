"""The page that sets every metric against bits per weight."""

from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.contract import RoundResult, Workload
from odllm_controller.metrics import Group
from tests import stores, support
from tests.app.drawn import charts, drawn, headings, page, table, texts


def rounds(*quantizations: str, threads: int = 2) -> list[RoundResult]:
    return [
        support.round_result(support.trial(support.model_file(quantization=name), threads=threads))
        for name in quantizations
    ]


def with_energy(result: RoundResult) -> RoundResult:
    repeats = tuple(replace(each, energy=support.some_energy(2.0, 3.0)) for each in result.repeats)
    return replace(result, repeats=repeats)


def test_every_measured_metric_has_a_chart(path: Path) -> None:
    store = stores.measured(path, *rounds("Q4_0", "Q8_0"))
    store.add_quality("run-1", support.quality_result())
    labels: list[str] = []
    for group in Group:
        test = page("trade-offs", group=str(group))
        labels += [heading.split("**")[1] for heading in headings(test)]
        assert len(charts(test)) == len(headings(test))
    assert labels == [
        "Decode speed",
        "Prefill speed",
        "Time to first token",
        "Time per output token",
        "Peak memory",
        "Mapped model",
        "Memory that no file backs",
        "Weights read or laid out anew",
        "KV cache",
        "Compute buffers",
        "Load time",
        "Perplexity",
    ]
    assert "2 trials · median of 3 repeats each" in texts(page("trade-offs"))


def test_missing_energy_says_why_and_is_never_zero(path: Path) -> None:
    stores.measured(path, *rounds("Q4_0"))
    test = page("trade-offs", group="Energy")
    assert "Mean power" in texts(test)
    assert "unavailable, no powercap here" in texts(test)
    assert "Mean power (W)" not in table(test, "Status")
    assert "energy: unavailable" in texts(page("trade-offs"))


def test_energy_that_was_measured_is_drawn_with_its_method(path: Path) -> None:
    stores.measured(path, *map(with_energy, rounds("Q4_0", "Q8_0")))
    test = page("trade-offs", group="Energy")
    assert "**Mean power** · lower is better" in texts(test)
    assert "energy: measured" in texts(test)
    assert table(test, "Status")["Decode energy per token (mJ)"].tolist() == pytest.approx(
        [46.88] * 2
    )


def test_energy_that_only_some_trials_have_says_why_not_the_others(path: Path) -> None:
    with_none, with_some = rounds("Q4_0", "Q8_0")
    stores.measured(path, with_none, with_energy(with_some))
    told = texts(page("trade-offs", group="Energy"))
    assert "Decode power, Prefill energy per token: none in 1 of 2 trials, no powercap" in told


def test_failed_trials_are_listed_with_reason_and_remedy(path: Path) -> None:
    stores.measured(path, support.failed_round())
    failed = table(page("trade-offs"), "What went wrong")
    assert failed["What went wrong"].tolist() == ["the worker was killed"]
    assert failed["What to do"].tolist() == ["try again"]


def test_skipped_trials_are_listed_with_their_reason(path: Path) -> None:
    store = stores.measured(path, *rounds("Q4_0"))
    left_out = support.trial(support.model_file(quantization="Q2_K"))
    store.add_skips("run-1", [support.skip(left_out, "needs 9.00 GB")])
    skipped = table(page("trade-offs"), "Why it cannot run")
    assert skipped["Why it cannot run"].tolist() == ["needs 9.00 GB"]
    assert skipped["Type"].tolist() == ["Q2_K"]


def test_unlike_trials_never_share_a_chart(path: Path) -> None:
    long = Workload("long", prompt_tokens=512, output_tokens=64)
    other = replace(support.trial(threads=1), workload=long)
    stores.measured(
        path, *rounds("Q4_0", threads=1), *rounds("Q8_0", threads=2), support.round_result(other)
    )
    test = page("trade-offs")
    assert len(table(test, "Status")) == 2, "one workload at the start"
    test = drawn(test.multiselect(key="workload").set_value([]).run())
    assert len(table(test, "Status")) == 3
    above = [text for text in headings(test) if "Decode speed" in text]
    assert len(set(above)) == len(above) == 3


def test_two_devices_stand_side_by_side(showcased: Path) -> None:
    above = [text for text in headings(page("trade-offs")) if "Decode speed" in text]
    assert [text.rpartition(" · ")[2] for text in above] == [
        "desktop",
        "laptop",
        r"slice\-1 \(virtual\)",
    ]


def test_lines_are_told_with_and_without_f16(showcased: Path) -> None:
    test = page("trade-offs", device="laptop", group="Latency")
    lines = table(test, "Slope", "Types")
    tpot = lines[lines["Metric"] == "Time per output token"]
    assert set(tpot["Types"]) == {"all", "without F16"}
    # By formula: bytes of the weights / 40 GB/s, and a twentieth more by the last token.
    small = tpot[(tpot["Model"] == "qwen-0.5B") & (tpot["Types"] == "all")].iloc[0]
    expected_ms = 1000 * 494e6 / 8 / 40e9 * 1.0315
    assert small["Slope"] == pytest.approx(expected_ms, rel=0.02)
    assert small["95 % from"] < expected_ms < small["95 % to"]
    assert small["Unit of the slope"] == "ms per bit"
    assert "lines: least squares without F16" in texts(test)


def test_size_in_the_place_of_bits(showcased: Path) -> None:
    test = page("trade-offs", device="laptop", against="Bytes")
    sizes = table(test, "Size of the file (MB)", "Decode speed (tok/s)")["Size of the file (MB)"]
    assert sizes.max() == pytest.approx((3.09e9 * 2 + 40_000) / 1e6, rel=1e-3)


def test_each_trial_has_a_link(showcased: Path) -> None:
    links = table(page("trade-offs", device="laptop"), "Status", "Trial")["Trial"].dropna()
    assert len(links) == 9
    assert links.str.startswith("trial?trial=").all()


def test_more_charts_than_anyone_compares_are_left_out_and_said(path: Path) -> None:
    trials = [support.trial(threads=n) for n in range(1, 15)]
    stores.measured(path, *map(support.round_result, trials))
    test = page("trade-offs")
    assert len(charts(test)) == 24
    assert "more than these 24 charts" in texts(test)
    narrowed = page("trade-offs", engine=test.multiselect(key="engine").options[0])
    assert len(charts(narrowed)) == 2
    assert "more than these" not in texts(narrowed)


def test_published_figures_stand_behind_only_if_they_are_asked_for(showcased: Path) -> None:
    address = {"device": "laptop", "group": "Memory"}
    bare = table(page("trade-offs", **address), "Peak memory (MB)", "Origin")
    assert set(bare["Origin"]) == {"measured"}
    test = page("trade-offs", **address, published="true")
    with_others = table(test, "Peak memory (MB)", "Origin")
    others = with_others[with_others["Origin"] == "published"].set_index(["Model", "Type"])
    assert others.loc[("qwen2.5-0.5B", "Q8_0"), "Peak memory (MB)"] == 576
    assert len(with_others) - len(others) == len(bare)
    assert "grey crosses: arXiv 2505.15030" in texts(test)
    assert "quoted by third parties" in texts(test)
