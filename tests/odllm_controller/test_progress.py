import io

from rich.console import Console

from odllm_agent.contract import Measurement, RepeatPolicy
from odllm_controller.progress import RunProgress
from tests import support

ORDER = Measurement(support.trial(), 1, RepeatPolicy())


def test_it_shows_the_trial_under_way_what_is_done_and_what_failed() -> None:
    paper = io.StringIO()
    with RunProgress(Console(file=paper, width=160, force_terminal=True), total=3) as progress:
        progress.started(support.device(), ORDER)
        progress.finished(support.round_result(), left=2)
        progress.started(support.device(), ORDER)
        progress.finished(support.failed_round(), left=1)
    text = paper.getvalue()
    assert "laptop: reference-1.6M Q4_0, round 2, short" in text
    assert "2/3" in text
    assert "1 failed" in text
    assert "left" in text


def test_orders_that_a_result_made_needless_are_not_waited_for() -> None:
    paper = io.StringIO()
    with RunProgress(Console(file=paper, width=160, force_terminal=True), total=9) as progress:
        progress.started(support.device(), ORDER)
        progress.finished(support.round_result(), left=0)
    assert "1/1" in paper.getvalue()


def test_a_quality_check_is_shown_by_its_text() -> None:
    paper = io.StringIO()
    with RunProgress(Console(file=paper, width=160, force_terminal=True), total=1) as progress:
        progress.started(support.device(), support.quality_result().check)
        progress.finished(support.quality_result(), left=0)
    assert "reference-1.6M Q4_0, quality on reference" in paper.getvalue()


def test_nothing_to_do_shows_nothing() -> None:
    paper = io.StringIO()
    with RunProgress(Console(file=paper, width=160, force_terminal=True), total=0):
        pass
    assert paper.getvalue().strip() == ""
