"""Which starts of a file become rounds of one row."""

from odllm_controller.exchange.figures import Figures
from odllm_controller.exchange.llama_bench.record import figures
from odllm_controller.exchange.sessions import placed
from tests.odllm_controller.exchange.told import start_of


def found(*starts: int, samples: bool = True, **changes: object) -> list[tuple[int, Figures]]:
    more: dict[str, object] = {} if samples else {"samples_ns": [], "samples_ts": []}
    return [(n, figures(start_of(n, **(changes | more)), "f")) for n in starts]


def rows(of: list[tuple[int, Figures]], known: dict[str, str] | None = None) -> list[str]:
    return [each.row["row_id"] for _, each in placed(of, known or {}).figures]


def ids(of: list[tuple[int, Figures]]) -> list[str]:
    return [each.start.id for _, each in of if each.start]


def test_starts_of_one_test_in_one_file_are_rounds_of_one_row() -> None:
    assert len(set(rows(found(1, 2, 3)))) == 1
    assert len(set(rows(found(1, 2) + found(1, n_threads=7)))) == 2


def test_another_file_of_the_same_test_has_a_row_of_its_own() -> None:
    assert set(rows(found(1, 2))).isdisjoint(rows(found(3, 4)))


def test_a_file_that_grew_goes_on_in_its_row() -> None:
    (row,) = set(rows(found(1, 2)))
    grown = found(1, 2, 3)
    assert set(rows(grown, dict.fromkeys(ids(grown)[:2], row))) == {row}


def test_a_file_that_holds_two_joins_their_rows_and_counts_them() -> None:
    both = found(1, 2)
    one, two = ids(both)
    done = placed(both, {one: "row-1", two: "row-2"})
    assert {each.row["row_id"] for _, each in done.figures} == {"row-1"}
    assert done.n_joined == 1
    assert ("row-2", two) in done.figures[1][1].moved_from


def test_averages_of_a_start_whose_samples_are_known_are_known() -> None:
    averages = found(1, samples=False)
    done = placed(averages, {ids(averages)[0]: "row-1"})
    assert (done.figures, done.n_known) == ((), 1)
    done = placed(averages + found(1), {})
    assert (len(done.figures), done.n_known) == (1, 1)


def test_averages_alone_are_never_taken_together() -> None:
    assert len(set(rows(found(1, 2, samples=False)))) == 2


def test_samples_take_the_place_of_their_averages() -> None:
    (averages,) = rows(found(2, samples=False))
    done = placed(found(1, 2), {})
    assert (averages, "") in done.figures[1][1].moved_from


def test_the_same_averages_with_other_samples_are_a_contradiction() -> None:
    told = [*found(1), (9, figures(start_of(1, samples_ns=[5]), "f"))]
    done = placed(told, {})
    assert (len(done.figures), done.contradicted) == (1, (9,))
