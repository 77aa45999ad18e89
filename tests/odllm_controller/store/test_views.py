"""The numbers of the views, against the same numbers worked out here from the raw values."""

import json
import statistics
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odllm_agent.contract import (
    Energy,
    Exam,
    Failure,
    Finished,
    Method,
    ModelRequest,
    Phase,
    PowerSample,
    QualityCheck,
    QualityResult,
    Quantization,
    Reading,
    Repeat,
    RoundResult,
    Score,
    Source,
    Stopped,
)
from odllm_agent.statistics.interval import interval_of
from odllm_agent.trials.context import ContextUse
from odllm_controller.store import Store, read
from tests import stores, support

PUBLIC = {
    "run",
    "device",
    "device_kind",
    "engine",
    "model",
    "quantization",
    "status",
    "file_bpw",
    "runtime_bpw",
    "file_bytes",
    "prompt_tokens",
    "output_tokens",
    "repeats",
    "ttft_s",
    "ttft_s_low",
    "ttft_s_high",
    "prefill_tok_s",
    "prefill_tok_s_low",
    "prefill_tok_s_high",
    "decode_tok_s",
    "decode_tok_s_low",
    "decode_tok_s_high",
    "peak_rss_bytes",
    "prefill_j",
    "decode_j",
    "decode_j_per_token",
    "mean_w",
    "energy_method",
    "mbu",
    "perplexity",
    "kld",
    "flags",
    "failure",
    "skip_reason",
}

seconds = st.floats(min_value=1e-5, max_value=100, allow_subnormal=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def result_rows(path: Path) -> list[dict[str, Any]]:
    found = read(path, "SELECT * FROM results ORDER BY ALL").astype(object)
    rows = found.where(found.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def only_row(path: Path) -> dict[str, Any]:
    (row,) = result_rows(path)
    return row


@st.composite
def repeats(draw: st.DrawFn) -> tuple[Repeat, ...]:
    """Between 1 and 12 measured repeats of 5 uneven tokens, with energy of the package."""
    count = draw(st.integers(1, 12))
    return tuple(
        support.repeat(
            index,
            prefill_s=draw(seconds),
            energy=support.some_energy(draw(seconds), draw(seconds)),
        )
        for index in range(1, count + 1)
    )


def uneven(each: Repeat, times: list[float]) -> Repeat:
    return replace(each, token_s=tuple(times))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_results_tell_what_the_raw_values_tell(path: Path, data: st.DataObject) -> None:
    path.unlink(missing_ok=True)
    measured = tuple(
        uneven(each, data.draw(st.lists(seconds, min_size=5, max_size=5)))
        for each in data.draw(repeats())
    )
    half = len(measured) // 2
    rounds = [measured[:half], measured[half:]] if half else [measured]
    stores.measured(
        path,
        *(support.round_result(None, index, each) for index, each in enumerate(rounds)),
        rounds=len(rounds),
    )
    energy = [[figure.energy_j or 0.0 for figure in each.energy] for each in measured]
    decode_s = [sum(each.token_s) for each in measured]
    expected = {
        "ttft_s": [each.ttft_s for each in measured],
        "prefill_tok_s": [128 / each.prefill_s for each in measured],
        "decode_tok_s": [5 / total for total in decode_s],
        "tpot_s": [total / 5 for total in decode_s],
        "prefill_j": [j for j, _ in energy],
        "decode_j": [j for _, j in energy],
        "decode_j_per_token": [j / 5 for _, j in energy],
        "prefill_j_per_token": [j / 128 for j, _ in energy],
        "prefill_w": [j / 0.1 for j, _ in energy],
        "decode_w": [j / 0.64 for _, j in energy],
        "mean_w": [(a + b) / 0.74 for a, b in energy],
    }
    row = only_row(path)
    assert row["repeats"] == len(measured)
    assert (row["status"], row["rounds"]) == ("done", len(rounds))
    for name, values in expected.items():
        assert row[name] == pytest.approx(statistics.median(values)), name
        by_round = [values[:half], values[half:]] if half else [values]
        interval = interval_of(by_round, seed=row["trial_id"])
        ends = [row[f"{name}_low"], row[f"{name}_high"]]
        assert ends == pytest.approx([interval.low, interval.high]), name
        if f"{name}_mean" in row:
            assert row[f"{name}_mean"] == pytest.approx(statistics.fmean(values)), name
    assert (row["interval_reason"] is None) == (row["decode_tok_s_low"] is not None)


def test_results_has_the_documented_columns(path: Path) -> None:
    stores.begun(path)
    assert set(read(path, "SELECT * FROM results")) >= PUBLIC


def two_rounds(*token_s: float) -> list[RoundResult]:
    """Two rounds of as many repeats as times are given, the second a little slower."""
    return [
        support.round_result(
            None,
            index,
            tuple(
                support.repeat(place, token_s=(1 + index / 100) * each)
                for place, each in enumerate(token_s, 1)
            ),
        )
        for index in range(2)
    ]


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([support.round_result()], "an interval needs 2 rounds, and there is 1"),
        (two_rounds(0.01, 0.011), "an interval needs 6 repeats, and there are 4"),
        (two_rounds(0.01, 0.011, 0.012), None),
    ],
)
def test_where_there_is_no_interval_there_is_a_reason(
    path: Path, results: list[RoundResult], reason: str | None
) -> None:
    stores.measured(path, *results, rounds=len(results))
    row = only_row(path)
    assert row["interval_reason"] == reason
    assert (row["decode_tok_s_low"] is None) == (row["tpot_s_high"] is None) == bool(reason)
    assert row["decode_tok_s"] is not None


def test_a_round_that_comes_later_moves_the_interval(path: Path) -> None:
    first, second = two_rounds(0.01, 0.011, 0.012)
    store = stores.measured(path, first, second, rounds=3)
    narrow = only_row(path)
    slow = tuple(support.repeat(index, token_s=0.05) for index in (1, 2, 3))
    store.add_round("run-1", support.round_result(None, 2, slow))
    assert only_row(path)["decode_tok_s_low"] < 0.9 * narrow["decode_tok_s_low"]


def test_a_metric_that_some_repeats_lack_has_the_interval_of_the_others(path: Path) -> None:
    def result(index: int, energies: int) -> RoundResult:
        metered = [support.repeat(i, energy=support.some_energy(1, i)) for i in range(1, 4)]
        bare = [support.repeat(i) for i in range(4, 7)]
        return support.round_result(None, index, tuple(metered[:energies] + bare))

    stores.measured(path, result(0, 3), result(1, 2), rounds=2)
    row = only_row(path)
    assert (row["decode_j"], row["decode_j_low"]) == (2.0, None)
    assert row["interval_reason"] is None
    assert row["decode_tok_s_low"] is not None


@pytest.mark.parametrize(
    ("at_most", "target", "results", "stopped", "status"),
    [
        (None, 0.5, two_rounds(0.01, 0.01, 0.01), "narrow", "done"),
        (None, 0.01, two_rounds(0.01, 0.01, 0.01), "cap", "done"),
        (4, 0.5, two_rounds(0.01, 0.01, 0.01), "narrow", "done"),
        (4, 0.01, two_rounds(0.01, 0.01, 0.01), None, "partial"),
        (2, 0.01, two_rounds(0.01, 0.01, 0.01), "cap", "done"),
        (4, 0.5, two_rounds(0.01, 0.01, 0.01)[:1], None, "partial"),
        (4, 0.5, [support.failed_round()], None, "failed"),
        (4, None, two_rounds(0.01, 0.01, 0.01), None, "partial"),
    ],
)
def test_a_trial_is_done_when_it_is_narrow_or_has_all_its_rounds(
    path: Path,
    at_most: int | None,
    target: float | None,
    results: list[RoundResult],
    stopped: str | None,
    status: str,
) -> None:
    store = stores.begun(path)
    store.add_plan("run-1", [support.trial()], 2, at_most, target)
    for result in results:
        store.add_round("run-1", result)
    row = only_row(path)
    assert (row["stopped"], row["status"]) == (stopped, status)
    assert (row["planned_rounds"], row["rounds_at_most"]) == (2, at_most or 2)


def test_warm_ups_and_failed_rounds_count_nowhere(path: Path) -> None:
    slow = support.repeat(0, warmup=True, prefill_s=50.0, token_s=9.0, flags=("busy",))
    good = support.round_result()
    good = replace(good, repeats=(slow, *good.repeats[1:]))
    failed = replace(
        support.failed_round(round_index=1),
        repeats=(slow, support.repeat(1, prefill_s=70.0, token_s=7.0, flags=("hot",))),
    )
    stores.measured(path, good, failed, rounds=2)
    row = only_row(path)
    assert (row["repeats"], row["decode_tok_s"]) == (3, pytest.approx(100.0))
    assert row["prefill_tok_s"] == pytest.approx(1280.0)
    assert row["flags"] == ""
    assert len(read(path, "SELECT * FROM rates")) == 3


def test_sizes_come_from_the_file(path: Path) -> None:
    file = support.model_file(quantization="Q8_0", n_weights=1_000_000)
    stores.measured(path, support.round_result(support.trial(file)))
    row = only_row(path)
    assert row["file_bpw"] == pytest.approx(file.file_bpw)
    assert (row["file_bytes"], row["n_weights"]) == (file.file_bytes, 1_000_000)
    assert row["runtime_bpw"] == pytest.approx(4.5)


def test_what_others_took_is_told_in_cores_over_all_repeats(path: Path) -> None:
    def after(busy_s: float) -> Repeat:
        state = support.state(busy_s=busy_s, own_cpu_s=2.0)
        return support.repeat(int(busy_s), after=state, wall_s=2.0)

    # This process spent 1 s in each of both, all CPUs together 2 and 3.
    stores.measured(path, support.round_result(repeats=(after(102.0), after(103.0))))
    assert only_row(path)["others_cores"] == pytest.approx(3 / 4)


def test_a_tick_that_was_counted_late_is_no_load_below_nothing(path: Path) -> None:
    late = support.repeat(1, after=support.state(busy_s=99.99), wall_s=0.1)
    stores.measured(path, support.round_result(repeats=(late,)))
    assert only_row(path)["others_cores"] == 0


def test_the_time_waited_for_a_cooler_device_is_that_of_all_rounds(path: Path) -> None:
    rounds = [replace(support.round_result(None, n), waited_s=1.5) for n in range(2)]
    stores.measured(path, *rounds, rounds=2)
    assert only_row(path)["waited_s"] == 3.0


def test_memory_and_load_are_medians_over_rounds(path: Path) -> None:
    def with_peak(index: int, peak: int) -> RoundResult:
        held = support.held_memory(mapped_bytes=peak // 2, kv_bytes=None, reason="it did not tell")
        end = Finished(Stopped.CAP, 0.1, peak_rss_bytes=peak, held=held)
        return replace(support.round_result(None, index), finished=end)

    stores.measured(path, with_peak(0, 100), with_peak(1, 300), with_peak(2, 120), rounds=3)
    row = only_row(path)
    assert (row["peak_rss_bytes"], row["mapped_bytes"], row["kv_bytes"]) == (120, 60, None)
    assert row["anonymous_bytes"] == support.held_memory().anonymous_bytes
    assert row["memory_reason"] == "it did not tell"
    assert (row["load_s"], row["repeats"], row["rounds"]) == (0.5, 9, 3)


@pytest.mark.parametrize(
    ("rounds", "results", "status"),
    [
        (2, [], "planned"),
        (2, [support.round_result()], "partial"),
        (2, [support.round_result(), support.round_result(None, 1)], "done"),
        (2, [support.failed_round()], "failed"),
        (2, [support.failed_round(), support.round_result(None, 1)], "failed"),
        (2, [support.round_result(), support.failed_round(None, 1)], "failed"),
        (1, [support.round_result(), support.failed_round(None, 1)], "done"),
    ],
)
def test_status(path: Path, rounds: int, results: list[RoundResult], status: str) -> None:
    store = stores.begun(path)
    store.add_plan("run-1", [support.trial()], rounds)
    for result in results:
        store.add_round("run-1", result)
    row = only_row(path)
    assert row["status"] == status
    assert (row["failure"] is not None) == (status == "failed")
    assert (row["decode_tok_s"] is not None) == (row["rounds"] > 0), "missing is never 0"


@pytest.mark.parametrize(("prompt", "window"), [(192, 256), (193, 257), (3000, 4096)])
def test_what_goes_beyond_the_context_of_its_model_says_so(
    path: Path, prompt: int, window: int
) -> None:
    store, trial = stores.begun(path), support.trial()
    trial = replace(trial, workload=replace(trial.workload, prompt_tokens=prompt, output_tokens=64))
    reading = Reading("reference", "text", window, None, ("perplexity",))
    check = support.quality_check(trial.model, reading=reading, engine=trial.engine)
    store.add_round("run-1", support.round_result(of=trial))
    store.add_quality("run-1", QualityResult(check, (Score("perplexity", 9.0, 0.1, 100),)))
    row = only_row(path)
    assert row["model_context_tokens"] == 256
    asked = [
        ContextUse.of_workload(trial.model, trial.workload),
        ContextUse.of_reading(trial.model, reading),
    ]
    told = [each.reason or None for each in asked]
    assert [row["context_reason"], row["quality_context_reason"]] == told
    assert (prompt > 192) == (told[0] is not None)


def test_a_failure_is_gone_once_a_later_attempt_worked(path: Path) -> None:
    failed = support.failed_round()
    later = replace(support.round_result(), started_at=failed.started_at + timedelta(hours=1))
    store = stores.measured(path, failed)
    row = only_row(path)
    assert (row["failure"], row["failure_kind"], row["remedy"], row["repeats"]) == (
        "the worker was killed",
        "WorkerDied",
        "try again",
        0,
    )
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_round("run-2", later)
    row = only_row(path)
    assert (row["status"], row["failure"], row["run"]) == ("done", None, "run-2")


def test_more_rounds_planned_later_leave_a_trial_partial(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    assert only_row(path)["status"] == "done"
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_plan("run-2", [support.trial()], rounds=3)
    row = only_row(path)
    assert (row["status"], row["planned_rounds"], row["run"]) == ("partial", 3, "run-1")


def test_energy_that_is_missing_says_why(path: Path) -> None:
    stores.measured(path, support.round_result())
    row = only_row(path)
    assert (row["energy_method"], row["energy_reason"]) == ("unavailable", "no powercap here")
    names = ("prefill_j", "decode_j", "decode_j_per_token", "mean_w", "prefill_w", "decode_w")
    assert [row[name] for name in names] == [None] * 6


def test_a_trial_without_any_meter_has_no_energy(path: Path) -> None:
    stores.measured(path, support.round_result(repeats=(support.repeat(1, energy=()),)))
    row = only_row(path)
    assert (row["energy_method"], row["mean_w"]) == ("unavailable", None)
    assert "no meter" in row["energy_reason"]


def test_energy_of_one_phase_leaves_the_reason_of_the_other(path: Path) -> None:
    short = Energy(Phase.PREFILL, "package", "rapl", Method.UNAVAILABLE, None, "too short")
    decode = Energy(Phase.DECODE, "package", "rapl", Method.MEASURED, 6.4)
    missed = Energy(Phase.DECODE, "package", "rapl", Method.UNAVAILABLE, None, "one reading failed")
    repeats = (
        support.repeat(1, energy=(short, decode)),
        support.repeat(2, energy=(short, decode)),
        support.repeat(3, energy=(short, missed)),
    )
    stores.measured(path, support.round_result(repeats=repeats))
    row = only_row(path)
    assert (row["energy_method"], row["energy_reason"]) == ("measured", "too short")
    assert (row["prefill_j"], row["mean_w"], row["decode_j"]) == (None, None, 6.4)
    rates = read(path, "SELECT energy_method FROM rates ORDER BY repeat")["energy_method"]
    assert rates.tolist() == ["measured", "measured", "unavailable"]


def test_energy_is_of_the_package_and_of_one_method(path: Path) -> None:
    def figures(method: Method, package_j: float) -> tuple[Energy, ...]:
        return tuple(
            Energy(phase, domain, "rapl", how, joules)
            for phase in Phase
            for domain, how, joules in (
                ("package", method, package_j),
                ("psys", Method.MEASURED, 1000.0),
                ("dram", Method.MEASURED, 500.0),
            )
        )

    repeats = (
        support.repeat(1, energy=figures(Method.MEASURED, 2.0)),
        support.repeat(2, energy=figures(Method.ESTIMATED, 77.0)),
        support.repeat(3, energy=support.no_energy()),
        support.repeat(4, energy=figures(Method.MEASURED, 4.0)),
    )
    stores.measured(path, support.round_result(repeats=repeats))
    row = only_row(path)
    assert (row["energy_method"], row["energy_reason"]) == ("measured", None)
    assert (row["prefill_j"], row["decode_j"]) == (3.0, 3.0)
    assert row["decode_j_per_token"] == pytest.approx(3.0 / 64)


def test_a_window_of_several_passes_tells_the_energy_of_one(path: Path) -> None:
    energy = (
        support.energy(Phase.PREFILL, 6.0, window_s=0.3, passes=3),
        support.energy(Phase.DECODE, 8.0, window_s=0.4, passes=2, uncertainty_j=0.5),
    )
    one = support.repeat(1, energy=energy, more_prefill_s=(0.2, 0.3), more_decode_s=(0.7,))
    stores.measured(path, support.round_result(repeats=(one,)))
    row = only_row(path)
    assert (row["prefill_j"], row["decode_j"]) == (2.0, 4.0)
    assert (row["prefill_w"], row["decode_w"]) == (pytest.approx(20.0), pytest.approx(20.0))
    assert (row["prefill_passes"], row["decode_passes"]) == (3, 2)
    assert row["decode_j_uncertainty"] == 0.25
    assert row["decode_j_per_token_uncertainty"] == 0.25 / 64
    assert row["prefill_j_per_token"] == 2.0 / 128
    assert row["decode_tok_s"] == pytest.approx(100.0), "further passes are no repeats"
    passes = read(path, "SELECT phase, pass, pass_s FROM further_passes ORDER BY phase DESC, pass")
    assert passes.to_numpy().tolist() == [
        ["prefill", 1, 0.2],
        ["prefill", 2, 0.3],
        ["decode", 1, 0.7],
    ]


def test_idle_power_is_that_of_the_last_rest_before_each_repeat_in_the_same_run(path: Path) -> None:
    energy = support.some_energy(prefill_j=2.0, decode_j=3.2)
    early, late = (support.repeat(index, energy=energy) for index in (1, 3))
    store = stores.measured(path, support.round_result(repeats=(early, late)))
    store.add_run(stores.run("run-2", stores.later(0)))
    second = support.STARTED + timedelta(seconds=2)
    store.add_baseline("run-1", support.baseline(0, idle_w=1.0))
    store.add_baseline("run-1", support.baseline(1, idle_w=2.0, started_at=second))
    store.add_baseline("run-1", support.baseline(1, idle_w=9.0, started_at=stores.later(1)))
    store.add_baseline("run-2", support.baseline(0, idle_w=7.0, started_at=second))
    store.add_baseline("run-1", support.baseline(0, idle_w=8.0, device_id="another"))
    rates = read(path, "SELECT idle_w, prefill_net_j, decode_net_j FROM rates ORDER BY repeat")
    assert rates["idle_w"].tolist() == [1.0, 2.0]
    assert rates["prefill_net_j"].tolist() == pytest.approx([2.0 - 0.1, 2.0 - 0.2])
    assert rates["decode_net_j"].tolist() == pytest.approx([3.2 - 0.64, 3.2 - 1.28])
    row = only_row(path)
    assert row["idle_w"] == 1.5
    assert row["decode_net_j_per_token"] == pytest.approx((3.2 - 0.96) / 64)
    assert (row["decode_j"], row["net_reason"]) == (3.2, None)


def test_without_an_idle_baseline_nothing_is_subtracted_and_that_is_said(path: Path) -> None:
    one = support.repeat(1, energy=support.some_energy(2.0, 3.0))
    store = stores.measured(path, support.round_result(repeats=(one,)))
    store.add_baseline("run-1", support.baseline())
    row = only_row(path)
    assert (row["idle_w"], row["prefill_net_j"], row["decode_net_j"]) == (None, None, None)
    assert row["net_reason"] == "no idle power was measured before it"


def test_the_peak_is_the_most_of_a_phase_and_of_the_chosen_meter(path: Path) -> None:
    def sample(phase: Phase, power_w: float, domain: str = "package", meter: str = "rapl") -> Any:
        return PowerSample(phase, domain, meter, 0.0, 0.1, power_w)

    power = (
        sample(Phase.PREFILL, 30.0),
        sample(Phase.DECODE, 10.0),
        sample(Phase.DECODE, 12.0),
        sample(Phase.DECODE, 500.0, domain="psys"),
        sample(Phase.DECODE, 500.0, meter="another"),
    )
    one = support.repeat(1, energy=support.some_energy(2.0, 3.0), power=power)
    stores.measured(path, support.round_result(repeats=(one,)))
    row = only_row(path)
    assert (row["prefill_peak_w"], row["decode_peak_w"]) == (30.0, 12.0)
    traces = read(path, "SELECT power_w FROM power_traces WHERE repeat = 1")
    assert traces["power_w"].tolist() == [30.0, 10.0, 12.0, 500.0, 500.0]


def test_a_load_has_its_own_energy_or_the_reason_for_none(path: Path) -> None:
    def with_load(index: int, energy: Energy) -> RoundResult:
        one = support.repeat(1, energy=support.some_energy(2.0, 3.0))
        result = support.round_result(None, index, (one,))
        assert result.loaded is not None
        trace = (PowerSample(Phase.LOAD, "package", "rapl", 0.0, 0.1, 5.0),)
        return replace(result, loaded=replace(result.loaded, energy=(energy,), power=trace))

    missed = Energy(Phase.LOAD, "package", "rapl", Method.UNAVAILABLE, None, "too short")
    store = stores.measured(path, with_load(0, missed), rounds=2)
    row = only_row(path)
    assert (row["load_j"], row["load_j_reason"]) == (None, "too short")
    store.add_round("run-1", with_load(1, support.energy(Phase.LOAD, 4.0, window_s=0.5)))
    row = only_row(path)
    assert (row["load_j"], row["load_w"], row["load_j_reason"]) == (4.0, 8.0, None)
    assert (row["load_j_uncertainty"], row["load_peak_w"]) == (0.4, 5.0)
    assert row["load_net_j"] is None
    store.add_baseline("run-1", support.baseline(idle_w=2.0))
    assert only_row(path)["load_net_j"] == pytest.approx(4.0 - 2.0 * 0.5)
    loads = read(path, "SELECT count(*) AS n FROM power_traces WHERE repeat IS NULL")
    assert loads["n"].tolist() == [2]


def test_flags_are_listed_once_each(path: Path) -> None:
    flags: tuple[tuple[str, ...], ...] = (("hot", "busy"), (), ("busy",))
    repeats = tuple(support.repeat(i, flags=each) for i, each in enumerate(flags, 1))
    stores.measured(path, support.round_result(repeats=repeats))
    row = only_row(path)
    assert (row["flags"], row["flagged_repeats"]) == ("busy,hot", 2)


def test_perplexity_belongs_to_the_file_whatever_the_threads(path: Path) -> None:
    small, large = support.model_file(), support.model_file("reference-6M")
    store = stores.measured(
        path, *(support.round_result(support.trial(small, threads=n)) for n in (1, 2))
    )
    store.add_plan("run-1", [support.trial(large)], 1)
    store.add_quality("run-1", support.quality_result(small, 12.5))
    found = {(row["model"], row["threads"]): row["perplexity"] for row in result_rows(path)}
    assert found == {
        ("reference-1.6M", 1): 12.5,
        ("reference-1.6M", 2): 12.5,
        ("reference-6M", 2): None,
    }


def test_a_failed_check_leaves_its_reason(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    failure = Failure("WorkerDied", "killed while reading the text")
    store.add_quality("run-1", replace(support.quality_result(), scores=(), failure=failure))
    row = only_row(path)
    assert (row["perplexity"], row["perplexity_reason"]) == (None, failure.message)


def test_a_model_without_quality_says_why(path: Path) -> None:
    model = replace(support.model_file(), no_quality="its weights are random")
    stores.measured(path, support.round_result(support.trial(model)))
    row = only_row(path)
    assert (row["perplexity"], row["perplexity_reason"]) == (None, "its weights are random")


def compared(text: str, value: float, window_tokens: int = 256) -> QualityResult:
    """A check that gives every score of a text as multiples of a value."""
    names = ("perplexity", "kld", "top1_agreement", "delta_p", "delta_p_rms")
    reading = Reading(text, text, window_tokens, None, names)
    scores = tuple(Score(name, value * (i + 1), value / 10, 99) for i, name in enumerate(names))
    return QualityResult(support.quality_check(reading=reading), scores)


def test_every_score_of_a_text_is_a_column_with_its_error(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_quality("run-1", compared("reference", 2.0))
    row = only_row(path)
    names = ("perplexity", "kld", "top1_agreement", "delta_p", "delta_p_rms")
    assert [row[name] for name in names] == [2, 4, 6, 8, 10]
    assert {row[f"{name}_se"] for name in names} == {0.2}
    assert (row["quality_text"], row["perplexity_reason"], row["kld_reason"]) == (
        "reference",
        None,
        None,
    )


def test_figures_of_different_texts_are_never_mixed_and_the_latest_counts(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_quality("run-1", compared("reference", 2.0))
    store.add_run(stores.run("run-2", stores.later(1)))
    only_perplexity = replace(support.quality_result(value=30.0), check=another_text())
    store.add_quality("run-2", only_perplexity)
    row = only_row(path)
    assert (row["quality_text"], row["perplexity"], row["kld"]) == ("/mine.txt", 30.0, None)
    assert row["kld_reason"] is None


def another_text() -> QualityCheck:
    return support.quality_check(reading=Reading("/mine.txt", "m", 256, None, ("perplexity",)))


def test_a_check_that_failed_does_not_hide_an_earlier_one(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_quality("run-1", compared("reference", 2.0))
    store.add_run(stores.run("run-2", stores.later(1)))
    failed = QualityResult(another_text(), failure=Failure("WorkerDied", "killed"))
    store.add_quality("run-2", failed)
    row = only_row(path)
    assert (row["quality_text"], row["perplexity"], row["kld"]) == ("reference", 2.0, 4.0)


def examined(task: str, accuracy: float | None, reason: str = "") -> QualityResult:
    """A check on a task, with a metric beside the accuracy as lm-eval has them."""
    check = support.quality_check(reading=None, exam=Exam(task, task, None))
    scores = (
        Score("accuracy", accuracy, None if accuracy is None else 0.3, 10, reason),
        Score("acc,none", 0.1, 0.01, 10),
    )
    return QualityResult(check, scores)


def test_accuracy_is_the_mean_over_tasks_and_each_is_told(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    for task, value in (("a", 0.25), ("b", 0.75)):
        store.add_quality("run-1", examined(task, value))
    store.add_quality("run-1", compared("reference", 2.0))
    row = only_row(path)
    assert row["accuracy"] == 0.5
    assert row["accuracy_se"] == pytest.approx((0.3**2 + 0.3**2) ** 0.5 / 2)
    assert json.loads(row["accuracies"]) == {"a": 0.25, "b": 0.75}
    assert row["perplexity"] == 2


def test_a_mean_over_tasks_is_not_told_where_one_of_them_failed(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_quality("run-1", examined("a", 0.25))
    store.add_quality("run-1", examined("b", None, "no such metric"))
    row = only_row(path)
    assert (row["accuracy"], row["accuracy_reason"]) == (None, "no such metric")
    assert json.loads(row["accuracies"]) == {"a": 0.25, "b": None}


def test_of_a_task_that_was_asked_again_the_latest_counts(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_quality("run-1", examined("a", 0.25))
    store.add_run(stores.run("run-2", stores.later(1)))
    again = examined("a", 0.5)
    store.add_quality(
        "run-2", replace(again, check=replace(again.check, exam=Exam("a", "edited", None)))
    )
    assert only_row(path)["accuracy"] == 0.5


def test_a_score_without_a_base_says_why(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    reading = Reading("reference", "r", 256, None, ("perplexity", "kld"))
    check = support.quality_check(reading=reading, base_reason="no F16")
    scores = (Score("perplexity", 2.0, 0.1, 9), Score("kld", None, None, 0, "no F16"))
    store.add_quality("run-1", QualityResult(check, scores))
    row = only_row(path)
    assert (row["perplexity"], row["kld"], row["kld_reason"]) == (2.0, None, "no F16")
    assert row["perplexity_reason"] is None


def fail_to_prepare(store: Store, run_id: str, quantization: Quantization | None) -> None:
    request = ModelRequest("reference-1.6M", Source.FILE, "/gone", quantization)
    failure = Failure("ModelMissing", "no file at /gone", "put it there")
    store.add_failure(run_id, "id-of-laptop", request, failure)


@pytest.mark.parametrize("quantization", [Quantization("Q4_0"), None])
def test_a_model_that_was_never_ready_is_a_failed_row(
    path: Path, quantization: Quantization | None
) -> None:
    store = stores.begun(path)
    fail_to_prepare(store, "run-1", quantization)
    row = only_row(path)
    assert (row["trial_id"], row["status"], row["device"]) == (None, "failed", "laptop")
    assert (row["model"], row["quantization"]) == ("reference-1.6M", quantization)
    assert (row["failure"], row["remedy"]) == ("no file at /gone", "put it there")

    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_plan("run-2", [support.trial()], 1)
    assert only_row(path)["status"] == "planned", "once ready, the old failure is history"

    store.add_run(stores.run("run-3", stores.later(2)))
    fail_to_prepare(store, "run-3", quantization)
    assert sorted(row["status"] for row in result_rows(path)) == ["failed", "planned"]


def test_what_cannot_run_is_a_skipped_row_with_its_reason(path: Path) -> None:
    store = stores.begun(path)
    left_out = support.trial(support.model_file(quantization="Q2_K"), threads=6)
    store.add_skips("run-1", [support.skip(left_out, "needs 9.00 GB")])
    row = only_row(path)
    assert (row["trial_id"], row["status"], row["skip_reason"]) == (
        None,
        "skipped",
        "needs 9.00 GB",
    )
    assert (row["device"], row["model"], row["quantization"]) == (
        "laptop",
        "reference-1.6M",
        "Q2_K",
    )
    assert (row["engine"], row["threads"], row["prompt_tokens"]) == ("llama_cpp", 6, 128)
    assert row["file_bpw"] == pytest.approx(left_out.model.file_bpw)
    assert row["failure"] is None
    assert row["repeats"] == 0


def test_trials_and_skips_are_told_with_the_seed_of_their_tokens(path: Path) -> None:
    store = stores.begun(path)
    seeded = [
        replace(each, workload=replace(each.workload, seed=seed))
        for seed, each in ((7, support.trial()), (8, support.trial(threads=6)))
    ]
    store.add_plan("run-1", seeded[:1], 1)
    store.add_skips("run-1", [support.skip(seeded[1])])
    told = {(row["status"], row["seed"]) for row in result_rows(path)}
    assert told == {("planned", 7), ("skipped", 8)}


def test_a_skip_is_history_once_a_later_run_plans_the_trial(path: Path) -> None:
    store = stores.begun(path)
    store.add_skips("run-1", [support.skip(support.trial())])
    for run_id, hours in (("run-2", 1), ("run-3", 2)):
        store.add_run(stores.run(run_id, stores.later(hours)))
    store.add_skips("run-2", [support.skip(support.trial(), "needs even more")])
    assert only_row(path)["skip_reason"] == "needs even more", "the latest reason counts"
    store.add_plan("run-3", [support.trial(threads=6), support.trial()], 1)
    assert [row["status"] for row in result_rows(path)] == ["planned", "planned"]


def test_another_trial_of_the_same_file_leaves_a_skip_alone(path: Path) -> None:
    store = stores.begun(path)
    store.add_skips("run-1", [support.skip(support.trial(threads=6))])
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_plan("run-2", [support.trial(threads=2)], 1)
    assert sorted(row["status"] for row in result_rows(path)) == ["planned", "skipped"]


def test_what_was_measured_is_no_skip(path: Path) -> None:
    store = stores.measured(path, support.round_result())
    store.add_run(stores.run("run-2", stores.later(1)))
    store.add_skips("run-2", [support.skip(support.trial())])
    assert only_row(path)["status"] == "done"


def test_settings_are_readable_as_json(path: Path) -> None:
    stores.measured(path, support.round_result(support.trial(threads=6, type_k="q8_0")))
    found = read(path, "SELECT threads, settings ->> 'type_k' AS type_k FROM results")
    assert found.to_dict("records") == [{"threads": 6, "type_k": "q8_0"}]
