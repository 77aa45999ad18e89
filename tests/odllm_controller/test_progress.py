import io

from rich.console import Console

from odllm_agent.contract import (
    Measurement,
    ModelRequest,
    Progress,
    Quantization,
    RepeatPolicy,
    Source,
)
from odllm_controller.progress import ModelProgress, RunProgress
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


REQUEST = ModelRequest("qwen2.5-7B", Source.HUB, "a/b/c.gguf@main", Quantization.Q4_0)


def test_a_model_on_its_way_is_shown_with_its_device_and_bytes() -> None:
    paper = io.StringIO()
    with ModelProgress(
        Console(file=paper, width=160, force_terminal=True), support.device()
    ) as bar:
        bar.started(REQUEST)
        bar.moved(Progress("fetching c.gguf", 3_000_000_000, 9_000_000_000))
        bar.moved(Progress("fetching c.gguf", 4_500_000_000, 9_000_000_000))
        (fetching,) = bar._bar.tasks
        assert fetching.percentage == 50
        # What was there at the start is no part of the speed.
        assert sum(sample.completed for sample in fetching._progress) == 1_500_000_000
        bar._bar.refresh()
        bar.moved(Progress("making Q4_0", 1_000_000, 4_000_000_000))
        bar._bar.refresh()
    text = paper.getvalue()
    assert "laptop: qwen2.5-7B Q4_0, fetching c.gguf" in text
    assert "4.5/9.0 GB" in text
    assert "laptop: qwen2.5-7B Q4_0, making Q4_0" in text


def test_where_nobody_looks_nothing_is_drawn() -> None:
    paper = io.StringIO()
    with ModelProgress(Console(file=paper, width=160), support.device()) as bar:
        bar.started(REQUEST)
        bar.moved(Progress("fetching c.gguf", 1, 2))
    assert paper.getvalue() == ""
