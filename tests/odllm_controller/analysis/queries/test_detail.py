"""Everything that was recorded of one trial."""

from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.contract import Phase, PowerSample
from odllm_controller.analysis.queries import detail
from tests import stores, support


def test_raw_values_come_back_as_they_were_measured(tmp_path: Path) -> None:
    sample = PowerSample(Phase.DECODE, "package", "rapl", 0.1, 0.2, 15.0)
    repeats = (
        support.repeat(1, token_s=0.010, energy=support.some_energy(2.0, 3.0), power=(sample,)),
        support.repeat(2, token_s=0.020, flags=("busy", "hot")),
        support.repeat(3, token_s=0.030),
    )
    path = tmp_path / "odllm.duckdb"
    trial = support.trial()
    other = support.trial(threads=8)
    stores.measured(path, support.round_result(trial, 0, repeats), support.round_result(other, 0))
    found = detail.load(path, trial.id)
    assert found.rounds["round"].tolist() == [0]
    assert found.repeats["warmup"].tolist() == [True, False, False, False]
    assert found.repeats["decode_tok_s"].tolist()[1:] == pytest.approx([100, 50, 1 / 0.03])
    assert found.repeats["flags"].tolist() == ["", "", "busy, hot", ""]
    assert found.tokens["token_s"].tolist() == pytest.approx([0.020] * 64), "no warm-up in it"
    assert set(found.tokens["slowest_s"]) == {0.030}
    assert set(found.tokens["tokens"]) == {3}
    assert found.power["power_w"].tolist() == [15.0]
    decode = found.energy[(found.energy["phase"] == "decode") & found.energy["energy_j"].notna()]
    assert decode["energy_j"].tolist() == [3.0]
    assert decode["power_w"].tolist() == pytest.approx([3.0 / 0.64])
    assert len(found.states) == 2 * 4
    assert found.failures.empty


def test_places_of_a_long_output_are_taken_together(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    repeat = replace(support.repeat(), token_s=(0.01,) * 1300)
    stores.measured(path, support.round_result(repeats=(repeat,)))
    tokens = detail.load(path, support.trial().id).tokens
    assert tokens["position"].tolist() == list(range(0, 1300, 3))
    assert tokens["tokens"].sum() == 1300


def test_a_failure_is_told_and_its_repeats_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.failed_round())
    found = detail.load(path, support.trial().id)
    assert found.failures["message"].tolist() == ["the worker was killed"]
    assert found.repeats["complete"].tolist() == [False]
    assert found.tokens.empty


def test_of_an_unknown_trial_there_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    assert detail.load(path, "gone").rounds.empty
