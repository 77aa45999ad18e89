"""Whatever is lost, doubled or silent in a store is found."""

from collections.abc import Mapping

import pytest

from tests.fleet.books import Books, Round

WHOLE = {("a", 0): 1, ("a", 1): 1, ("b", 0): 1, ("b", 1): 1}


def books(measured: Mapping[Round, int], **unmeasured: str) -> Books:
    return Books({"a": 2, "b": 2}, measured, unmeasured)


def test_a_store_with_every_round_once_has_nothing_wrong() -> None:
    assert not books(WHOLE).wrongs(n_trials=2)
    assert not books(WHOLE).missing


def test_a_round_that_is_missing_with_a_reason_is_not_wrong_but_missing() -> None:
    found = books({("a", 0): 1, ("a", 1): 1, ("b", 0): 1}, b="held: bob is away")

    assert not found.wrongs(n_trials=2)
    assert found.missing == {("b", 1)}


@pytest.mark.parametrize(
    ("measured", "wrong"),
    [
        ({**WHOLE, ("a", 1): 2}, "2 times"),
        ({("a", 0): 1, ("a", 1): 1, ("b", 0): 1}, "trial b is missing without a word"),
        ({**WHOLE, ("c", 0): 1}, "never planned"),
    ],
)
def test_what_is_doubled_lost_or_strange_is_wrong(
    measured: Mapping[Round, int], wrong: str
) -> None:
    assert [wrong in each for each in books(measured).wrongs(n_trials=2)] == [True]


def test_a_trial_that_was_never_planned_is_wrong() -> None:
    assert books(WHOLE).wrongs(n_trials=3) == ["2 trials were planned, not 3"]
