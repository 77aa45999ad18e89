"""Failures of one cause are told once."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Failure, Result
from odllm_agent.failures import Attempt, Failed, alike, told
from tests import support
from tests.odllm_agent.failures import made

TYPES = ("F16", "Q8_0", "Q4_0", "Q4_K_M", "Q2_K")
FAILURES = st.one_of(
    st.builds(
        Failure,
        kind=st.sampled_from(["WorkerDied", "EngineError"]),
        message=st.sampled_from(["it broke", "it broke at 0xdeadbeef", "no\nroom", "x" * 900]),
        remedy=st.sampled_from(["", "try again\nlater"]),
        signal=st.sampled_from([None, "SIGSEGV"]),
        log=st.text("ab\n", max_size=40),
    )
)
TRIALS = st.builds(
    made.trial,
    quantization=st.sampled_from(TYPES),
    model=st.sampled_from(["one", "two"]),
    engine=st.sampled_from(["llama_cpp", "openvino"]),
)
RESULTS = st.one_of(
    st.builds(made.failed, TRIALS, FAILURES, st.integers(0, 2)),
    st.builds(made.unchecked, TRIALS, FAILURES),
    st.builds(lambda failure: support.baseline(failure=failure), FAILURES),
    st.builds(lambda failure: replace(support.ceilings(), failure=failure), FAILURES),
)
FAILED = st.lists(
    st.builds(
        lambda result, device: Failed(Attempt.of(result), result.failure, device),
        RESULTS,
        st.sampled_from(["", "laptop", "vm"]),
    ),
    max_size=60,
)


@given(FAILED)
def test_every_failure_is_counted_exactly_once(found: list[Failed]) -> None:
    counted = [each for cause in alike(found) for each in cause.failed]
    assert Counter(map(id, counted)) == Counter(map(id, found))


@given(FAILED)
def test_there_is_one_text_of_at_most_five_lines_per_cause(found: list[Failed]) -> None:
    texts = told(found, "more")
    assert len(texts) == len({each.cause for each in found})
    assert all(1 <= len(text.splitlines()) <= 5 for text in texts)


@given(FAILED)
def test_causes_come_in_the_order_in_which_they_first_came(found: list[Failed]) -> None:
    assert [each.cause for each in alike(found)] == list(
        dict.fromkeys(each.cause for each in found)
    )
    for each in alike(found):
        assert each.first is next(failed for failed in found if failed.cause == each.cause)


def of(result: Result, device: str = "vm") -> Failed:
    assert result.failure
    return Failed(Attempt.of(result), result.failure, device)


def crashed(n_rounds: int, n_checks: int) -> list[Failed]:
    crash = replace(made.CRASH, log="\n".join(f"line {n}" for n in range(9)))
    kinds = ["Q4_0", "Q4_K_M", "Q5_0", "Q5_K_M", "Q8_0", "Q3_K_M", "Q2_K"]
    trials = [made.trial(kinds[n % len(kinds)], f"model-{n % 3}") for n in range(n_rounds)]
    rounds = [of(made.failed(each, crash, n // 24)) for n, each in enumerate(trials)]
    return rounds + [of(made.unchecked(each, crash)) for each in trials[:n_checks]]


def test_a_crash_at_many_types_is_told_with_how_often_of_what_where_and_the_first() -> None:
    (text,) = told(crashed(75, 24), "`odllm explore` has all")
    assert text.splitlines() == [
        "75 rounds and 24 quality checks alike: llama_cpp was ended by SIGSEGV at "
        "Q4_0, Q4_K_M, Q5_0, Q5_K_M, Q8_0 and 2 more "
        "(first: model-0 Q4_0, round 1 on vm; `odllm explore` has all)",
        "    try its build",
        "    line 6",
        "    line 7",
        "    line 8",
    ]


def test_what_failed_once_is_told_as_it_is() -> None:
    (text,) = told([of(support.failed_round(round_index=1))], "more")
    assert text == "reference-1.6M Q4_0, round 2 on vm: the worker was killed\n    try again"


def test_several_devices_are_counted() -> None:
    found = [of(made.failed(made.trial()), device) for device in ("a", "b", "b")]
    assert "3 rounds alike: llama_cpp was ended by SIGSEGV at Q4_0 on 2 devices" in told(found)[0]
