"""Summaries say what the raw values say, whatever came in, and in whatever order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odllm_agent.contract import Baseline, Energy, Method, Phase, PowerSample, RoundResult, Work
from odllm_controller.store import Store, read
from odllm_controller.store.control import controlling
from tests import stores, support

WORK = (Work(Phase.DECODE, "Q4_0", 1e6, 2e6), Work(Phase.PREFILL, "Q4_0", 1e6, 2e8))
TRIALS = tuple(
    support.trial(support.model_file(quantization=name)) for name in ("Q4_0", "Q8_0", "F16")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def summaries(path: Path) -> pd.DataFrame:
    return read(path, "FROM summaries ORDER BY trial_id")


def assert_worked_out(store: Store) -> None:
    """Checks every column against what the raw values give once the summaries are thrown away."""
    kept, shown = summaries(store.path), read(store.path, "FROM results ORDER BY ALL")
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("DELETE FROM summaries")
    store.summarise()
    pd.testing.assert_frame_equal(kept, summaries(store.path))
    pd.testing.assert_frame_equal(shown, read(store.path, "FROM results ORDER BY ALL"))


def metered_round(trial: int, number: int, minute: float, speed: float = 1.0) -> RoundResult:
    """A round with all that a summary has figures of."""
    started_at = support.STARTED + timedelta(minutes=minute)
    power = (PowerSample(Phase.DECODE, "package", "rapl", 0.0, 0.1, 12.0 * speed),)
    repeats = tuple(
        support.repeat(
            index,
            token_s=0.01 / speed + 0.0001 * index,
            started_at=started_at + timedelta(seconds=index),
            energy=support.some_energy(2.0 * speed, 3.0 + index),
            power=power,
            flags=("busy",) * (index == 1),
            wall_s=2.0,
        )
        for index in (1, 2, 3)
    )
    result = support.round_result(TRIALS[trial], number, repeats)
    assert result.loaded is not None
    load = support.energy(Phase.LOAD, 4.0 * speed, window_s=0.5)
    trace = (PowerSample(Phase.LOAD, "package", "rapl", 0.0, 0.1, 5.0),)
    loaded = replace(result.loaded, energy=(load,), power=trace, work=WORK)
    return replace(result, started_at=started_at, loaded=loaded, waited_s=1.5)


def rest(minute: float, idle_w: float) -> Baseline:
    return support.baseline(idle_w=idle_w, started_at=support.STARTED + timedelta(minutes=minute))


def test_every_column_has_a_figure_that_the_raw_values_give(path: Path) -> None:
    store = stores.begun(path)
    store.add_results("run-1", [rest(-1, 4.0), support.ceilings(read=2e9, Q4_0=5e9)])
    for number in range(3):
        store.add_round("run-1", metered_round(0, number, number, 1 + number / 50))
    kept = summaries(path)
    reasons = {"no_work", "memory_reason", "load_j_reason", "energy_reason", "interval_reason"}
    assert set(kept.columns[kept.isna().all()]) == reasons | {
        f"prefill_peak_w{end}" for end in ("", "_low", "_high")
    }
    assert_worked_out(store)


entries = st.one_of(
    st.builds(
        metered_round,
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(0, 50),
        st.floats(0.5, 2.0),
    ),
    st.builds(rest, st.integers(0, 50), st.floats(1.0, 9.0)),
    st.builds(lambda per_s: support.ceilings(read=per_s, Q4_0=per_s), st.floats(1e9, 9e9)),
    st.builds(support.failed_round, st.sampled_from(TRIALS), st.integers(0, 3)),
)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(entries, max_size=5), max_size=4))
def test_they_are_what_the_raw_values_give_in_whatever_order_those_came(
    path: Path, batches: Sequence[Sequence[RoundResult | Baseline]]
) -> None:
    path.unlink(missing_ok=True)
    store = stores.begun(path)
    for batch in batches:
        store.add_results("run-1", batch)
    assert_worked_out(store)


def test_an_idle_baseline_that_comes_late_counts_for_what_was_measured_after_it(
    path: Path,
) -> None:
    store = stores.begun(path)
    store.add_results("run-1", [metered_round(0, 0, 0), metered_round(1, 0, 10)])
    store.add_baseline("run-1", rest(5, 2.0))
    idle_w = read(path, "SELECT trial_id, idle_w FROM summaries").set_index("trial_id")["idle_w"]
    assert idle_w[[trial.id for trial in TRIALS[:2]]].isna().tolist() == [True, False]
    assert_worked_out(store)


def test_ceilings_that_come_late_count_for_what_was_measured_before(path: Path) -> None:
    store = stores.measured(path, metered_round(0, 0, 0))
    assert read(path, "SELECT mbu FROM results")["mbu"].isna().all()
    store.add_ceilings("run-1", support.ceilings(read=2e9))
    row = read(path, "SELECT mbu, tpot_s FROM results").iloc[0]
    assert row["mbu"] == pytest.approx(1e6 / 2e9 / row["tpot_s"])
    assert_worked_out(store)


def test_only_the_trials_of_a_batch_are_worked_out_anew(path: Path) -> None:
    store = stores.begun(path)
    store.add_results("run-1", [metered_round(trial, n, n) for trial in (0, 1) for n in (0, 1)])
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE summaries SET mean_w = 0")
    store.add_round("run-1", metered_round(0, 2, 3))
    mean_w = read(path, "SELECT trial_id, mean_w FROM summaries").set_index("trial_id")["mean_w"]
    assert mean_w[TRIALS[0].id] > 0
    assert mean_w[TRIALS[1].id] == 0


def test_a_batch_that_cannot_be_stored_leaves_summaries_as_they_were(path: Path) -> None:
    store = stores.measured(path, metered_round(0, 0, 0))
    before = summaries(path)
    bad = replace(metered_round(1, 0, 0), wall_s="a while")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="a while"):
        store.add_results("run-1", [metered_round(0, 1, 1), bad])
    pd.testing.assert_frame_equal(before, summaries(path))


def test_a_trial_without_a_whole_round_has_no_summary(path: Path) -> None:
    store = stores.measured(path, support.failed_round(TRIALS[0]))
    assert summaries(path).empty
    assert_worked_out(store)


def test_of_many_trials_each_has_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odllm_controller.store.summaries._AT_ONCE", 2)
    store = stores.begun(path)
    none = Energy(Phase.LOAD, "package", "rapl", Method.UNAVAILABLE, None, "too short")
    odd = metered_round(2, 0, 2)
    assert odd.loaded is not None
    odd = replace(odd, loaded=replace(odd.loaded, energy=(none,)))
    store.add_results("run-1", [metered_round(0, 0, 0), metered_round(1, 0, 1, 2.0), odd])
    found = summaries(path).set_index("trial_id")
    assert len(found) == 3
    assert found["decode_tok_s"][TRIALS[1].id] > 1.9 * found["decode_tok_s"][TRIALS[0].id]
    assert found["load_j_reason"][TRIALS[2].id] == "too short"
    assert_worked_out(store)


def test_what_is_stored_without_them_waits_for_whoever_catches_up(path: Path) -> None:
    store = stores.measured(path, metered_round(0, 0, 0), rounds=2)
    before = summaries(path)
    store.add(
        [("run-1", metered_round(0, 1, 1)), ("run-1", metered_round(1, 0, 2))], summarise=False
    )
    assert len(read(path, "FROM rounds")) == 3
    pd.testing.assert_frame_equal(summaries(path), before)
    store.catch_up()
    assert len(summaries(path)) == 2
    assert read(path, "FROM stale").empty
    assert_worked_out(store)


def test_whoever_controls_the_store_next_catches_up_with_a_run_that_was_killed(path: Path) -> None:
    store = stores.begun(path)
    store.add([("run-1", metered_round(0, 0, 0))], summarise=False)
    assert summaries(path).empty
    with controlling(path):
        assert len(summaries(path)) == 1
