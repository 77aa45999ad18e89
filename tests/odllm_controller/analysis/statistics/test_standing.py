import pytest

from odllm_controller.analysis.statistics.standing import Standing, agreed

YES, NO, OPEN = Standing.SUPPORTED, Standing.CONTRADICTED, Standing.UNDECIDED


@pytest.mark.parametrize(
    ("said", "together"),
    [
        ([], OPEN),
        ([("a", YES)], OPEN),
        ([("a", YES), ("b", YES)], YES),
        ([("a", NO), ("b", NO)], NO),
        ([("a", YES), ("b", NO)], OPEN),
        ([("a", YES), ("b", OPEN)], OPEN),
        ([("a", YES), ("b", YES), ("c", YES), ("d", OPEN)], YES),
        ([("a", YES), ("b", YES), ("c", OPEN)], OPEN),
        ([("a", YES), ("b", YES), ("c", YES), ("d", YES), ("e", NO)], OPEN),
        ([("a", YES), ("a", YES)], OPEN),
        ([("a", YES), ("a", OPEN), ("b", YES)], YES),
        ([("a", YES), ("a", NO), ("b", YES)], OPEN),
    ],
)
def test_two_must_say_the_same_and_none_the_opposite(
    said: list[tuple[str, Standing]], together: Standing
) -> None:
    assert agreed(said) is together
