"""What is not tried any more because its like failed."""

from odllm_agent.failures import LeftOut, merged
from tests import support

FOUND = LeftOut(
    "llama_cpp at Q4_0", "llama_cpp was ended by SIGSEGV", 3, 18, ("t",), (support.quality_check(),)
)


def test_it_is_told_how_much_is_left_out_and_why() -> None:
    assert FOUND.told() == (
        "18 rounds and 1 quality check of llama_cpp at Q4_0, after 3 failed alike"
    )
    assert FOUND.reason == (
        "not tried, after 3 in a row failed alike: llama_cpp was ended by SIGSEGV"
    )


def test_what_several_devices_leave_out_is_told_once() -> None:
    assert merged([("a", FOUND), ("b", FOUND)]) == [
        "36 rounds and 2 quality checks of llama_cpp at Q4_0 on a, b, after 3 failed alike"
    ]


def test_kinds_are_told_apart_in_their_order() -> None:
    other = LeftOut("llama_cpp", "it failed", 5, 0, ("t",), ())
    assert [each.split(" of ")[1] for each in merged([("a", other), ("a", FOUND)])] == [
        "llama_cpp on a, after 5 failed alike",
        "llama_cpp at Q4_0 on a, after 3 failed alike",
    ]
    assert merged([("a", other)])[0].startswith("spare rounds of")
