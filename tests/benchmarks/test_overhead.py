"""The parts of a round's overhead, on rounds whose times are known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from benchmarks.overhead import Overhead, OverheadReport, overhead
from odllm_agent.contract import Loaded, RoundResult
from odllm_agent.errors import EngineError
from tests import support


def known_round() -> RoundResult:
    """Starts at 0; first repeat at 0.7, second at 1.7; ended at 3. Each window takes 0.9."""
    repeats = tuple(
        support.repeat(
            index,
            warmup=index == 0,
            started_at=support.STARTED + timedelta(seconds=0.7 + index),
            prefill_s=0.25,
            ttft_s=0.26,
            token_s=0.01,
        )
        for index in (0, 1)
    )
    return replace(
        support.round_result(repeats=repeats),
        repeats=repeats,
        wall_s=3.0,
        loaded=Loaded(0.5, None, ""),
    )


def test_what_is_neither_load_nor_window_is_overhead() -> None:
    found = overhead(known_round(), ("busy",))
    assert found.start_s == pytest.approx(0.2)
    assert found.between_s == pytest.approx(0.1)
    assert found.end_s == pytest.approx(0.4)
    assert found.repeats == 2
    assert found.flags == ("busy",)


def test_the_parts_are_all_of_it() -> None:
    result = known_round()
    windows_s = sum(repeat.ttft_s + repeat.decode_s for repeat in result.repeats)
    assert overhead(result).total_s == pytest.approx(3.0 - 0.5 - windows_s)


def test_a_failed_round_has_no_overhead() -> None:
    with pytest.raises(EngineError, match="the worker was killed"):
        overhead(support.failed_round())


def report(*totals_s: float, flags: tuple[str, ...] = ()) -> OverheadReport:
    rounds = tuple(Overhead(total, 0.0, 0.0, 4, flags) for total in totals_s)
    return OverheadReport("reference-7.6M", rounds, {})


def test_a_trial_has_three_rounds_of_median_overhead() -> None:
    assert report(0.1, 0.2, 0.9).trial_s == pytest.approx(0.6)


def test_disturbed_rounds_do_not_count() -> None:
    mixed = replace(
        report(0.1), rounds=(*report(0.1).rounds, *report(0.9, 0.9, flags=("busy",)).rounds)
    )
    assert mixed.trial_s == pytest.approx(0.3)


def test_the_limit_is_half_a_second() -> None:
    assert not report(0.16).unmet()
    (line,) = report(0.2).unmet()
    assert "0.60 s" in line
