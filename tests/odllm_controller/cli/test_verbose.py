"""What --verbose prints, of a store that was made by a formula."""

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from odllm_agent.contract import Phase, Work
from odllm_controller.analysis.queries import results
from odllm_controller.cli.verbose import print_bounds
from odllm_controller.store import Store
from tests import stores, support

TYPES = ("F16", "Q8_0", "Q4_0")


def printed(store: Store) -> str:
    paper = io.StringIO()
    print_bounds(Console(file=paper, width=250), store.path, results.load(store.path, "run-1"))
    return paper.getvalue()


def measured(path: Path, *sizes: int) -> Store:
    """Decode that reads at 10 GB/s, prefill that computes at 40 GOP/s."""
    rounds = []
    for n_weights in sizes:
        for kind in TYPES:
            model = support.model_file(f"m{n_weights}", kind, n_weights)
            read_bytes, operations = float(model.weight_bytes), 2.0 * n_weights
            work = (
                Work(Phase.PREFILL, "Q4_0", read_bytes, 128 * operations),
                Work(Phase.DECODE, "Q4_0", read_bytes, operations / 10),
            )
            times = {"prefill_s": 128 * operations / 40e9, "token_s": read_bytes / 10e9}
            repeats = tuple(support.repeat(index, **times) for index in (1, 2, 3))
            rounds.append(
                support.worked(support.round_result(support.trial(model), repeats=repeats), *work)
            )
    return stores.measured(path, *rounds)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return measured(tmp_path / "odllm.duckdb", 10_000_000, 20_000_000)


def test_ceilings_are_shown_in_their_units_with_how_they_were_measured(store: Store) -> None:
    store.add_ceilings("run-1", support.ceilings(read=12.34e9, Q4_0=56.78e9))
    text = printed(store)
    (read,) = (line for line in text.splitlines() if " read " in line and "by formula" in line)
    assert "12.3" in read
    (multiply,) = (line for line in text.splitlines() if "multiply with Q4_0" in line)
    assert "56.8" in multiply


@pytest.mark.parametrize(("gops", "told"), [(20e9, True), (50e9, False)])
def test_a_share_above_the_whole_is_explained(store: Store, gops: float, told: bool) -> None:
    store.add_ceilings("run-1", support.ceilings(read=12.5e9, Q4_0=gops))
    assert ("ceilings=again" in printed(store)) == told


def test_every_trial_has_its_shares_and_bounds_for_both_phases(store: Store) -> None:
    store.add_ceilings("run-1", support.ceilings(read=12.5e9, Q4_0=50e9))
    rows = [line.split() for line in printed(store).splitlines() if line.startswith("m10000000")]
    assert len(rows) == 2 * len(TYPES)
    for row in rows:
        bound, share = ("compute", ["80", "%"]) if "prefill" in row else ("traffic", ["80", "%"])
        assert row.count(bound) == 2
        assert any(row[place : place + 2] == share for place in range(len(row)))


def test_without_ceilings_the_fit_still_tells_and_the_reason_is_named(store: Store) -> None:
    text = printed(store)
    assert "no share: its ceiling was not measured on this device" in text
    (row,) = (
        line
        for line in text.splitlines()
        if line.startswith("m20000000") and "Q8_0" in line and "decode" in line
    )
    assert row.rstrip().endswith("traffic")
    assert "at most" not in text


def test_too_few_trials_are_told_to_have_no_fit(tmp_path: Path) -> None:
    result = support.worked(support.round_result(), Work(Phase.DECODE, "Q4_0", 1e8, 1e8))
    store = stores.measured(tmp_path / "odllm.duckdb", result)
    assert "no fit: a fit needs 6 trials, and there are 1" in printed(store)


def test_nothing_is_printed_where_nothing_was_measured(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    store.add_plan("run-1", [support.trial()], 1)
    assert printed(store) == ""


def test_a_trial_without_work_is_named_with_its_reason(tmp_path: Path) -> None:
    result = support.round_result()
    assert result.loaded is not None
    untold = dataclasses.replace(result.loaded, no_work="it has experts")
    store = stores.measured(tmp_path / "odllm.duckdb", dataclasses.replace(result, loaded=untold))
    assert "no share: it has experts" in printed(store)
