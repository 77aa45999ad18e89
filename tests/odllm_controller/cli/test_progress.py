import io
from collections.abc import Callable

from rich.console import Console

from odllm_agent.contract import ModelRequest, Progress, Quantization, Source
from odllm_controller.cli.progress import ModelProgress, RunProgress
from odllm_controller.run.device_activity import DeviceActivity, Pause
from tests import support

LAPTOP, OTHER = support.device(), support.device("other")


def drawn(show: Callable[[RunProgress], None]) -> str:
    paper = io.StringIO()
    with RunProgress(Console(file=paper, width=160, force_terminal=True)) as progress:
        show(progress)
    return paper.getvalue()


def test_each_device_shows_what_it_does_what_is_done_and_what_failed() -> None:
    def show(progress: RunProgress) -> None:
        for device in (LAPTOP, OTHER):
            progress.planned(device, 3)
        progress.started(LAPTOP, "reference-1.6M Q4_0, round 2, short")
        progress.finished(LAPTOP, support.round_result(), left=2)
        progress.finished(LAPTOP, support.failed_round(), left=1)
        progress.started(OTHER, "at rest before round 1")
        assert progress.n_done == 2

    lines = drawn(show).splitlines()
    laptop, other = ([line for line in lines if name in line][-1] for name in ("laptop", "other"))
    assert "reference-1.6M Q4_0, round 2, short" in laptop
    assert "2/3" in laptop
    assert "1 failed" in laptop
    assert "0/3" in other
    assert "at rest before round 1" in other


def test_orders_that_a_result_made_needless_are_not_waited_for() -> None:
    def show(progress: RunProgress) -> None:
        progress.planned(LAPTOP, 9)
        progress.finished(LAPTOP, support.round_result(), left=0)

    assert "1/1" in drawn(show)


def test_a_device_that_is_away_or_may_not_run_says_why() -> None:
    def show(progress: RunProgress) -> None:
        progress.status(LAPTOP, DeviceActivity().lost("it did not answer in time", 0.0, 1.0))
        progress.status(OTHER, DeviceActivity().paused(Pause("it runs on its battery", 30.0), 0.0))

    text = drawn(show)
    assert "away: it did not answer in time" in text
    assert "waiting: it runs on its battery" in text


def test_a_model_under_way_is_shown_beside_its_device() -> None:
    def show(progress: RunProgress) -> None:
        progress.started(LAPTOP, "preparing qwen2.5-7B Q4_0")
        progress.moved(LAPTOP, Progress("fetching c.gguf", 3_000_000_000, 9_000_000_000))

    assert "preparing qwen2.5-7B Q4_0, fetching c.gguf: 3.0 of 9.0 GB" in drawn(show)


def test_no_device_shows_nothing() -> None:
    assert "left" not in drawn(lambda _: None)


REQUEST = ModelRequest("qwen2.5-7B", Source.HUB, "a/b/c.gguf@main", Quantization("Q4_0"))


def test_a_model_on_its_way_is_shown_with_its_device_and_bytes() -> None:
    paper = io.StringIO()
    with ModelProgress(Console(file=paper, width=160, force_terminal=True)) as progress:
        bar = progress.of(support.device())
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
    with ModelProgress(Console(file=paper, width=160)) as progress:
        bar = progress.of(support.device())
        bar.started(REQUEST)
        bar.moved(Progress("fetching c.gguf", 1, 2))
    assert paper.getvalue() == ""
