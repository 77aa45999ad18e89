"""What is said of a worker that ended without an answer."""

import signal
from dataclasses import replace

import pytest

from odllm_agent.contract import CeilingsOrder, Measurement, Rehearsal, RepeatPolicy, Source
from odllm_agent.failures import Deed, death
from odllm_agent.failures.death import lateness
from tests import support

FILE = replace(support.model_file(), source=Source.FILE)


def deed(source: Source | None) -> Deed:
    trial = support.trial(replace(support.model_file(), source=source))
    return Deed.of(Measurement(trial, 0, RepeatPolicy()))


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (Measurement(support.trial(), 0, RepeatPolicy()), "measured reference-1.6M Q4_0"),
        (support.quality_check(), "checked the quality of reference-1.6M Q4_0"),
        (CeilingsOrder("d", support.engine(), ()), "found out what this device does at most"),
        (
            Rehearsal(FILE, support.engine(), support.trial().workload),
            "tried out the header of reference-1.6M Q4_0",
        ),
    ],
)
def test_the_engine_that_ran_is_named_with_what_it_was_at(order: Measurement, told: str) -> None:
    found = death(-11, Deed.of(order))
    assert found.message == f"llama_cpp was ended by SIGSEGV while it {told}"
    assert (found.kind, found.signal) == ("WorkerDied", "SIGSEGV")


@pytest.mark.parametrize("source", [None, *Source])
@pytest.mark.parametrize("number", [4, 8, 11])
def test_a_crash_blames_neither_build_nor_file_while_it_is_not_known_whether_types_run(
    source: Source | None, number: int
) -> None:
    found = death(-number, deed(source))
    assert "odllm-agent doctor" in found.remedy
    assert "file" not in found.remedy
    assert "does not" not in found.remedy


@pytest.mark.parametrize("source", [None, *Source])
def test_a_build_that_does_not_compute_the_type_is_blamed_whatever_the_file(
    source: Source | None,
) -> None:
    remedy = death(-11, deed(source), types_run=False).remedy
    assert "build does not compute this type" in remedy
    assert "hostile" not in remedy


def test_only_a_file_from_outside_may_be_hostile_and_only_if_its_types_run() -> None:
    blamed = {
        source
        for source in (None, *Source)
        if "hostile" in death(-11, deed(source), types_run=True).remedy
    }
    assert blamed == {Source.FILE, Source.HUB, Source.PACKAGE}


@pytest.mark.parametrize(("number", "word"), [(9, "out-of-memory"), (6, "gave up"), (15, "ended")])
def test_other_signals_are_told_as_what_they_mostly_are(number: int, word: str) -> None:
    assert word in death(-number, deed(Source.FILE), types_run=True).remedy


@pytest.mark.parametrize("types_run", [None, False, True])
def test_a_page_that_could_not_be_read_is_told_as_what_it_is(types_run: bool | None) -> None:
    remedy = death(-signal.SIGBUS, deed(Source.FILE), types_run).remedy
    assert "became shorter" in remedy
    assert "disk" in remedy
    assert "something on the device" not in remedy
    assert "hostile" not in remedy


def test_a_crash_of_no_engine_blames_none() -> None:
    found = death(-11, Deed("looked up mine"))
    assert found.message == "the worker was ended by SIGSEGV while it looked up mine"
    assert "engine" not in found.remedy


def test_an_exit_status_and_a_deadline_are_told_with_the_engine() -> None:
    assert death(3, deed(None)).message == (
        "llama_cpp ended with exit status 3 and without an answer"
    )
    late = lateness(60.0, deed(None))
    assert (late.kind, late.signal) == ("WorkerLate", None)
    assert late.message == "llama_cpp had not ended after 60 s and was killed"
