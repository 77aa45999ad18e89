from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from odllm_agent.contract import Engine, Repeat, Trial, Workload
from odllm_controller.analysis.compare import comparison
from odllm_controller.analysis.compare.comparison import Comparison
from odllm_controller.analysis.queries import results
from tests import stores, support

OPENVINO = Engine("openvino", "2026.4.1", {"threads": 2, "device": "CPU"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


def measured(path: Path, *trials: Trial, rounds: int = 3) -> pd.DataFrame:
    """Each trial is as fast as it has threads, and every round is slower than the one before."""
    found = []
    for index in range(rounds):
        for trial in trials:
            token_s = 0.01 * (1 + index) / int(trial.engine.settings["threads"])
            repeats = tuple(
                support.repeat(place, token_s=token_s, energy=support.some_energy(1, 0.64))
                for place in (1, 2, 3)
            )
            found.append(support.round_result(trial, index, repeats))
    stores.measured(path, *found, rounds=rounds)
    return results.load(path)


def compared(path: Path, rows: pd.DataFrame) -> list[tuple[str, str]]:
    return [(each.configuration, each.against) for each in comparison.load(path, rows)]


def test_a_setting_is_compared_with_its_first_value(path: Path) -> None:
    rows = measured(path, *(support.trial(threads=n) for n in (1, 2, 4)))
    twice, four_times = comparison.load(path, rows)
    assert (twice.configuration, twice.against) == ("llama_cpp, 2 threads", "llama_cpp, 1 thread")
    assert four_times.against == "llama_cpp, 1 thread"
    assert [_middle(twice), _middle(four_times)] == pytest.approx([2.0, 4.0])
    assert twice.prefill is not None
    assert twice.prefill.middle == pytest.approx(1.0)
    assert (twice.model, twice.quantization) == ("reference-1.6M", "Q4_0")


def test_rounds_that_both_share_do_not_blur_the_ratio(path: Path) -> None:
    (found,) = comparison.load(path, measured(path, support.trial(threads=1), support.trial()))
    assert found.decode is not None
    assert found.decode.width is not None
    assert found.decode.width < 1e-6, "though each round is slower by half and more"


def test_engines_are_compared_where_the_settings_that_they_share_agree(path: Path) -> None:
    trial = support.trial(threads=2, batch=512)
    other = replace(trial, engine=OPENVINO)
    more = replace(trial, engine=replace(OPENVINO, settings={"threads": 4, "device": "CPU"}))
    assert compared(path, measured(path, trial, other, more)) == [
        ("openvino, 2 threads", "llama_cpp, 2 threads"),
        ("openvino, 4 threads", "openvino, 2 threads"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        support.trial(threads=4, batch=256),
        support.trial(support.model_file(quantization="Q8_0"), threads=4, batch=512),
        replace(support.trial(threads=4, batch=512), workload=Workload("long", 512, 64)),
        support.trial(device_id="id-of-another", threads=4, batch=512),
    ],
)
def test_what_differs_in_more_than_one_thing_is_not_compared(path: Path, other: Trial) -> None:
    assert compared(path, measured(path, support.trial(threads=2, batch=512), other)) == []


def test_what_was_not_measured_is_not_compared(path: Path) -> None:
    trials = [support.trial(threads=n) for n in (1, 2)]
    store = stores.begun(path)
    store.add_plan("run-1", trials, 1)
    store.add_round("run-1", support.round_result(trials[0]))
    store.add_skips("run-1", [support.skip(support.trial(threads=8))])
    assert compared(path, results.load(path)) == []


def test_energy_is_compared_where_both_have_it_by_the_same_method(path: Path) -> None:
    trials = [support.trial(threads=n) for n in (1, 2)]
    (both,) = comparison.load(path, measured(path, *trials))
    assert both.energy is not None
    assert both.energy.middle == pytest.approx(1.0)


@pytest.mark.parametrize(
    "other",
    [
        support.repeat(1),
        support.repeat(1, energy=support.some_energy(1.0, 0.0)),
    ],
)
def test_energy_that_one_side_lacks_has_no_ratio(path: Path, other: Repeat) -> None:
    metered = support.repeat(1, energy=support.some_energy(1.0, 0.64))
    stores.measured(
        path,
        support.round_result(support.trial(threads=1), repeats=(metered,)),
        support.round_result(support.trial(threads=2), repeats=(other,)),
    )
    (found,) = comparison.load(path, results.load(path))
    assert found.energy is None
    assert found.decode is not None


def _middle(found: Comparison) -> float:
    assert found.decode is not None
    return found.decode.middle


def test_two_builds_of_an_engine_are_compared_with_each_other(path: Path) -> None:
    old, new = (
        replace(support.trial(), engine=replace(support.engine(), build=build))
        for build in ("aaaa00000000", "bbbb00000000")
    )
    (found,) = comparison.load(path, measured(path, old, new))
    assert {found.configuration, found.against} == {
        "llama_cpp, 2 threads, build aaaa00000000",
        "llama_cpp, 2 threads, build bbbb00000000",
    }
