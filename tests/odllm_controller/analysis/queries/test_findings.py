"""Findings as a table."""

from dataclasses import dataclass

from odllm_controller.analysis.queries.findings import table


@dataclass(frozen=True, slots=True)
class Seen:
    name: str
    slope: float | None


def test_a_finding_is_a_row() -> None:
    found = table([Seen("a", 1.5), Seen("b", None)], Seen)
    assert list(found["name"]) == ["a", "b"]
    assert found["slope"].isna().tolist() == [False, True]


def test_nothing_found_has_the_columns_still() -> None:
    assert list(table([], Seen)) == ["name", "slope"]
