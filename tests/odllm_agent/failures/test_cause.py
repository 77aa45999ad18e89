"""What makes two failures alike."""

from dataclasses import replace

import pytest

from odllm_agent.contract import Failure, ModelRequest, Quantization, Source, Trial
from odllm_agent.failures import Attempt, Cause
from tests import support
from tests.odllm_agent.failures import made

ONE, OTHER = made.trial("Q4_0", "reference-1.6M"), made.trial("Q8_0", "reference-3.9M")


def cause(message: str, of: Trial = ONE, kind: str = "EngineError") -> Cause:
    return Cause.of(Failure(kind, message), Attempt.of(made.failed(of)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/models/reference-1.6M-Q4_0.gguf is cut", "/models/reference-3.9M-Q8_0.gguf is cut"),
        ("reference-1.6M Q4_0 does not load", "reference-3.9M Q8_0 does not load"),
        ("a tensor of Q4_0", "a tensor of Q8_0"),
        ("a tensor of Q6_K", "a tensor of Q2_K"),
        ("no room in /tmp/odllm-worker-a1b2/x", "no room in /tmp/odllm-worker-zz9/x"),
        (r"no room in C:\Temp\a1", r"no room in C:\Temp\b2"),
        ("fault at 0x7f00aa12", "fault at 0x7fffbb34"),
        ("it needs 12.3 GB", "it needs 4 GB"),
        ("not ended after 600 s", "not ended after 61.5 s"),
        ("it read 1,048,576 of 2,097,152", "it read 524,288 of 3,145,728"),
        ("its checksum is " + "0123456789ab" * 5, "its checksum is " + "ba9876543210" * 5),
        ("lost in round 1", "lost in round 2"),
    ],
)
def test_what_differs_from_trial_to_trial_makes_no_other_cause(one: str, other: str) -> None:
    assert cause(one, ONE) == cause(other, OTHER)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ended with exit status 1", "ended with exit status 3"),
        ("the header is cut", "the weights are cut"),
        ("threads=4 is refused", "threads=8 is refused"),
        ("the hub says 404", "the hub says 403"),
    ],
)
def test_different_causes_stay_apart(one: str, other: str) -> None:
    assert cause(one) != cause(other)


def test_engine_and_kind_of_error_set_causes_apart() -> None:
    assert cause("it failed") != cause("it failed", made.trial(engine="openvino"))
    assert cause("it failed") != cause("it failed", kind="ModelInvalid")


def test_a_signal_tells_all_whatever_the_worker_was_at() -> None:
    measuring, checking, other = (
        replace(made.CRASH, message="ended while it measured a"),
        replace(made.CRASH, message="ended while it checked b"),
        replace(made.CRASH, signal="SIGILL"),
    )
    found = Cause.of(measuring, Attempt.of(made.failed(ONE)))
    assert Cause.of(checking, Attempt.of(made.unchecked(OTHER))) == found
    assert Cause.of(other, Attempt.of(made.failed(ONE))) != found


def test_a_changed_file_is_told_as_that_whatever_ended_the_worker() -> None:
    failure = Failure("ModelChanged", "/m/reference-1.6M.gguf became shorter", signal="SIGBUS")
    found = Cause.of(failure, Attempt.of(made.failed(ONE)))
    assert found.told(failure.message) == failure.message
    removed = replace(failure, message="/m/reference-1.6M.gguf was removed")
    assert Cause.of(removed, Attempt.of(made.failed(ONE))) != found


def test_models_that_could_not_be_had_are_alike_wherever_they_were_looked_for() -> None:
    requests = [
        ModelRequest("mine", Source.FILE, "/a b/mine.gguf", Quantization("Q4_0")),
        ModelRequest("yours", Source.FILE, "/c/yours.gguf"),
    ]
    found = {
        Cause.of(
            Failure("ModelMissing", f"there is no file {each.location}"), Attempt.of_request(each)
        )
        for each in requests
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("failure", "is_of_engine"),
    [
        (made.CRASH, True),
        (Failure("EngineError", "it does not load"), True),
        (Failure("DispatchError", "the agent was lost"), False),
        (Failure("WorkerLate", "it had not ended after 60 s"), False),
        (Failure("ModelTooLarge", "it does not fit"), False),
        (Failure("ModelChanged", "it was removed"), False),
        (Failure("ModelChanged", "it became shorter", signal="SIGBUS"), False),
        (Failure("WorkerDied", "killed", signal="SIGKILL"), False),
    ],
)
def test_what_tells_of_one_trial_or_of_the_device_tells_nothing_of_the_engine(
    failure: Failure, is_of_engine: bool
) -> None:
    found = Cause.of(failure, Attempt.of(support.failed_round()))
    assert found.is_of_engine == is_of_engine
