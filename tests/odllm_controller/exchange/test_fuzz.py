"""Mutated files of llama-bench; `make fuzz` imports more of them."""

import pytest

from tests.fuzz.figures import Mutated, mutated, run


def test_nothing_that_llama_bench_wrote_is_lost_without_a_word() -> None:
    tally = run(seed=1, numbers=range(400))
    assert tally.breaches == []
    ended = {how for _, how in tally.outcomes}
    assert ended == {"whole", "in part", "refused"}, "all of it was tried"


def test_a_real_store_keeps_what_was_told() -> None:
    assert run(seed=2, numbers=range(1, 9), real_every=1).breaches == []


def test_a_mutation_can_be_had_again_by_its_number() -> None:
    assert mutated(1, 7) == mutated(1, 7) != mutated(1, 8)


def test_a_loss_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Mutated.text
    monkeypatch.setattr(Mutated, "text", lambda case: text(case) * 2)
    assert any("told with status 0" in each for each in run(1, range(40)).breaches)
