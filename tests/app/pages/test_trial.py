"""The page of one trial."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.contract import Card, TypeShare
from odllm_controller.analysis.queries import results
from odllm_controller.cli.importing import import_file
from odllm_controller.store import Store
from tests import stores, support
from tests.app.drawn import charts, headings, page, table, texts
from tests.odllm_controller.exchange.told import as_lines, start_of


def trial_of(path: Path, device: str, model: str, quantization: str) -> str:
    found = results.load(path)
    rows = found[
        (found["device"] == device)
        & (found["model"] == model)
        & (found["quantization"] == quantization)
    ]
    return str(rows["trial_id"].iloc[0])


def test_a_link_opens_a_trial_whatever_is_chosen(showcased: Path) -> None:
    wanted = trial_of(showcased, "laptop", "qwen-3B", "Q2_K")
    test = page("trial", trial=wanted, device="desktop")
    assert test.selectbox[0].value == wanted
    facts = table(test, "", "Value").set_index("")["Value"]
    assert facts["Trial"] == wanted
    assert facts["Model"] == "qwen-3B Q2_K"
    assert test.multiselect(key="device").value == ["desktop"]


def test_another_choice_goes_into_the_address(showcased: Path) -> None:
    test = page("trial", device="laptop")
    other = trial_of(showcased, "laptop", "qwen-3B", "Q4_K_M")
    test.selectbox[0].set_value(other).run()
    assert test.query_params["trial"] == other
    assert table(test, "", "Value").set_index("")["Value"]["Model"] == "qwen-3B Q4_K_M"


def test_a_trial_that_is_not_there_is_said(showcased: Path) -> None:
    test = page("trial", trial="gone")
    assert "There is no trial gone in this store" in texts(test)
    assert charts(test)


@pytest.mark.parametrize("ratio", [1e-9, 1.0, 3.7e11])
def test_figures_of_any_size_are_written_out(path: Path, ratio: float) -> None:
    """Of two starts of llama-bench that differ so much, the interval says nothing."""
    slow, fast = start_of(0), start_of(1)
    samples = [sample * ratio for sample in fast["samples_ns"]]  # type: ignore[attr-defined]
    bench = path.with_name("bench.jsonl")
    bench.write_text(as_lines(slow, fast | {"samples_ns": [max(1, int(each)) for each in samples]}))
    assert import_file(bench, Store.open(path)).whole
    test = page("trial")
    told = [str(metric.value) for metric in test.metric]
    told += [str(metric.delta) for metric in test.metric]
    assert any("tok/s" in str(metric.label) for metric in test.metric)
    assert not [each for each in (*told, texts(test)) if re.search(r"\d[eE][+-]\d", each)]


def test_repeats_tokens_and_power_are_drawn(showcased: Path) -> None:
    test = page("trial", trial=trial_of(showcased, "laptop", "qwen-0.5B", "Q8_0"))
    assert [heading.split("**")[1] for heading in headings(test)] == [
        "Decode speed of each repeat",
        "Time of each token",
        "Power in round 0, repeat 1",
    ]
    repeats = table(test, "Kind", "Decode speed (tok/s)")
    assert len(repeats) == 8
    assert (repeats["Kind"] == "warm-up").sum() == 2
    tokens = table(test, "Place", "Median (ms)")
    assert tokens["Place"].tolist() == list(range(64))
    # By formula: 0.1 % slower with each token, give or take 2 %.
    assert tokens["Median (ms)"].iloc[-5:].mean() > 1.03 * tokens["Median (ms)"].iloc[:5].mean()
    assert (tokens["Slowest (ms)"] >= tokens["95 % (ms)"]).all()
    power = table(test, "Power (W)", "From (s)")
    assert set(power["Phase"]) == {"prefill", "decode"}


def test_another_repeat_s_power_comes_by_link(showcased: Path) -> None:
    trial = trial_of(showcased, "laptop", "qwen-0.5B", "Q8_0")
    test = page("trial", trial=trial, trace="round 1, repeat 3")
    assert "**Power in round 1, repeat 3**" in headings(test)


def test_a_device_without_a_meter_says_why_there_is_no_trace(showcased: Path) -> None:
    test = page("trial", trial=trial_of(showcased, "desktop", "qwen-0.5B", "Q8_0"))
    assert "There is no power trace: no powercap here" in texts(test)


def test_a_failure_is_told_with_its_log(path: Path) -> None:
    failed = support.failed_round()
    assert failed.failure
    told = replace(failed.failure, traceback="Traceback: here", log="last *words*")
    stores.measured(path, replace(failed, failure=told))
    test = page("trial")
    assert "the worker was killed" in test.error[0].value
    assert test.code[0].value == "Traceback: here\nlast *words*"
    assert "nan" not in texts(test), "what is missing is not a word"


def test_figures_have_their_intervals(showcased: Path) -> None:
    figures = table(
        page("trial", trial=trial_of(showcased, "desktop", "qwen-3B", "F16")), "Metric", "95 % to"
    ).set_index("Metric")
    decode = figures.loc["Decode speed"]
    assert decode["Value"] == pytest.approx(1 / ((6.18e9 / 62e9 + 0.002) * 1.0315), rel=0.02)
    assert decode["95 % from"] < decode["Value"] < decode["95 % to"]


def test_the_state_of_the_device_is_told(showcased: Path) -> None:
    states = table(
        page("trial", trial=trial_of(showcased, "desktop", "qwen-3B", "F16")), "Temperature (°C)"
    )
    assert len(states) == 2 * 4 * 2
    assert states["Temperature (°C)"].max() == 67


def test_what_the_model_s_file_says_of_itself_is_shown(path: Path) -> None:
    said = Card("Small 135M", "apache-2.0", "gpt2 smollm", 49_152, has_chat_template=True)
    model = replace(
        support.model_file(),
        card=said,
        n_weights=1000,
        mix=(TypeShare("Q4_0", 750), TypeShare("F32", 250)),
        remarks=("made of a Q4_1 file",),
    )
    stores.begun(path).add_round("run-1", support.round_result(support.trial(model)))
    facts = table(page("trial"), "", "The file").set_index("")["The file"]
    assert facts["Name"] == "Small 135M"
    assert facts["Vocabulary (tokens)"] == "49,152"
    assert facts["Chat template"] == "yes"
    assert facts["Types of weights"] == "Q4_0 75.0 %, F32 25.0 %"
    assert facts["To be known"] == "made of a Q4_1 file."
