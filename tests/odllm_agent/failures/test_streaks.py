"""Failures in a row, and when they are enough to stop trying."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Failure, QualityResult, RoundResult
from odllm_agent.failures import Streak, Streaks, Traits
from tests import support
from tests.odllm_agent.failures import made
from tests.odllm_agent.failures.made import failed, trial, unchecked


def learned(*results: RoundResult | QualityResult) -> list[list[Streak]]:
    streaks = Streaks()
    return [list(streaks.learned(each)) for each in results]


def test_three_in_a_row_at_a_type_are_enough_whether_rounds_or_checks() -> None:
    one, two = trial(model="one"), trial(model="two")
    *before, (streak,) = learned(failed(one), unchecked(one), failed(two))
    assert before == [[], []]
    assert streak.n_failed == 3
    assert streak.common == Traits(
        "llama_cpp", tuple(sorted(one.engine.settings.items())), None, "Q4_0"
    )


def test_five_in_a_row_of_an_engine_are_enough_at_whatever_types() -> None:
    kinds = ("Q4_0", "Q8_0", "F16", "Q2_K", "Q5_0")
    found = learned(*(failed(trial(kind, f"model of {kind}")) for kind in kinds))
    assert [len(each) for each in found] == [0, 0, 0, 0, 1]
    assert found[-1][0].common.quantization is None


def test_a_success_between_begins_anew() -> None:
    bad = failed(trial())
    good = support.round_result(trial(model="good"))
    assert learned(bad, bad, good, bad, bad) == [[]] * 5


def test_a_success_at_another_type_saves_the_engine_and_not_the_type() -> None:
    bad, good = failed(trial("Q4_0")), support.round_result(trial("F16"))
    found = learned(bad, good, bad, good, bad, good)
    assert [[each.common.quantization for each in every] for every in found] == [
        [], [], [], [], ["Q4_0"], [],
    ]  # fmt: skip


def test_another_cause_begins_anew() -> None:
    other = replace(made.CRASH, signal="SIGILL")
    assert learned(failed(trial()), failed(trial()), failed(trial(), other)) == [[]] * 3


def test_another_engine_has_rows_of_its_own() -> None:
    theirs = failed(trial(engine="openvino"))
    assert learned(failed(trial()), theirs, failed(trial()), theirs) == [[]] * 4


@pytest.mark.parametrize("kind", ["DispatchError", "WorkerLate", "ModelTooLarge"])
def test_what_tells_nothing_of_the_engine_neither_counts_nor_saves_it(kind: str) -> None:
    silent = failed(trial(), Failure(kind, "no matter"))
    assert learned(*[silent] * 9) == [[]] * 9
    *before, (streak,) = learned(*[failed(trial()), silent] * 2, failed(trial()))
    assert before == [[]] * 4
    assert streak.n_failed == 3


def test_one_bad_file_speaks_against_that_file_alone() -> None:
    *_, (streak,) = learned(*(failed(trial(model="bad", threads=n)) for n in (1, 2, 4)))
    assert streak.common.include(Traits.of(trial(model="bad", threads=8)))
    assert not streak.common.include(Traits.of(trial(model="good", threads=1)))


def test_one_setting_speaks_against_that_setting_alone() -> None:
    *_, (streak,) = learned(*(failed(trial(model=name, repack=1)) for name in "abc"))
    assert streak.common.include(Traits.of(trial(model="d", repack=1)))
    assert not streak.common.include(Traits.of(trial(model="d", repack=0)))


TRIALS = st.builds(
    trial,
    quantization=st.sampled_from(["Q4_0", "F16"]),
    model=st.sampled_from("ab"),
    engine=st.sampled_from(["llama_cpp", "openvino"]),
    threads=st.sampled_from([1, 2]),
)


@given(st.lists(TRIALS, min_size=1, max_size=20))
def test_what_is_given_up_has_whatever_the_failed_ones_share(trials: list) -> None:  # type: ignore[type-arg]
    for streak in (each for found in learned(*map(failed, trials)) for each in found):
        assert streak.n_failed >= 3
        alike = [each for each in map(Traits.of, trials) if streak.common.include(each)]
        assert len(alike) >= streak.n_failed


def test_traits_are_told_by_engine_and_type_and_by_what_tells_them_from_others() -> None:
    planned = [Traits.of(trial(kind, name)) for kind in ("Q4_0", "F16") for name in "ab"]
    assert planned[0].told(planned) == "llama_cpp at a Q4_0"
    assert planned[0].shared(planned[1]).told(planned) == "llama_cpp at Q4_0"
    assert planned[0].shared(planned[3]).told(planned) == "llama_cpp"
    assert planned[0].told(planned[:1]) == "llama_cpp at Q4_0"
    repacked = Traits.of(trial("Q4_0", "a", repack=1))
    assert repacked.told([*planned, repacked]) == "llama_cpp with repack=1 at a Q4_0"
