"""What is read out of a machine's logbook, and what of it is called wrong."""

from odllm_agent.contract import Failure, ModelRequest, PathTest, Source
from odllm_agent.contract import Outcome as Came
from odllm_agent.offline.logbook import Entry, Planned, Unprepared
from tests import support
from tests.machines.outcome import Outcome

RIGHT = PathTest("Q4_0", "plain", Came.RIGHT)
CRASHED = PathTest("Q4_0", "repack", Came.CRASHED, "SIGILL")
TRIAL = support.trial()
PLANNED = Planned((TRIAL,), rounds=1, rounds_at_most=1, interval_target=0.02)
HERE = {("Q4_0", "reference", "perplexity"): 12.5}


def outcome(*entries: Entry, tests: tuple[PathTest, ...] = (RIGHT,)) -> Outcome:
    device = support.device(builds={"llama_cpp": support.build("AVX2 = 1", *tests)})
    return Outcome.of((support.opening(device=device), PLANNED, *entries))


def test_a_machine_that_did_all_of_it_is_in_order() -> None:
    found = outcome(support.round_result(TRIAL), support.quality_result())

    assert (found.cpu, found.planned, found.measured) == ("Example 9000", 1, 1)
    assert not found.faults
    assert found.scores == HERE
    assert not found.wrongs(HERE)


def test_a_round_that_failed_is_told_in_its_own_words() -> None:
    found = outcome(support.failed_round(TRIAL), support.quality_result())

    assert found.wrongs() == ("failed: the worker was killed", "measured 0 of 1 rounds")


def test_a_model_file_that_could_not_be_made_is_told() -> None:
    request = ModelRequest("m", Source.FILE, "/m.gguf")
    found = outcome(Unprepared(request, Failure("ModelMissing", "it is gone")))

    assert found.wrongs()[0] == "failed: it is gone"


def test_a_machine_that_wrote_no_quality_down_is_wrong() -> None:
    assert outcome(support.round_result(TRIAL)).wrongs() == ("no score of quality",)


def test_a_processor_that_computes_something_else_is_wrong() -> None:
    found = outcome(support.round_result(TRIAL), support.quality_result(value=13.0))

    (wrong,) = found.wrongs(HERE)

    assert wrong == "Q4_0 reference perplexity is 13.0, and 12.5 here"


def test_rounding_of_another_processor_is_no_wrong() -> None:
    found = outcome(support.round_result(TRIAL), support.quality_result(value=12.51))

    assert not found.wrongs(HERE)


def test_a_score_that_only_one_of_them_has_is_wrong() -> None:
    found = outcome(support.round_result(TRIAL), support.quality_result())

    assert found.wrongs({**HERE, ("Q8_0", "reference", "perplexity"): 12.0})


def test_a_build_that_nobody_tried_is_wrong() -> None:
    found = outcome(support.round_result(TRIAL), support.quality_result(), tests=())

    assert found.wrongs() == ("the engine's build was not tried",)


def test_what_of_a_build_does_not_work_is_told_and_may_be_done_without() -> None:
    found = outcome(support.round_result(TRIAL), support.quality_result(), tests=(RIGHT, CRASHED))

    assert found.faults == ("Q4_0, repack: crashes (SIGILL)",)
    assert not found.wrongs()
