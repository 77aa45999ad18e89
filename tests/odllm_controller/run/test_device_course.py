"""How a device stands in a run."""

from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import AgentApi
from odllm_controller.run.asking import Ask
from odllm_controller.run.device_course import Course, CourseState, Pause

ASK = Ask.of(AgentApi.underway).within(60.0)


def test_a_device_that_does_not_answer_until_its_deadline_is_due() -> None:
    course = Course().asked(ASK, 10.0)
    assert course.standing is CourseState.RUNNING
    assert not course.is_due(69.9)
    assert course.is_due(70.0)


def test_a_pause_ends_by_itself_and_says_why_it_is_made() -> None:
    course = Course().paused(Pause("it runs on its battery", 30.0), 5.0)
    assert (course.standing, course.reason) == (CourseState.WAITING, "it runs on its battery")
    assert not course.is_over
    assert course.is_due(35.0)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5).map(sorted))
def test_grace_counts_from_the_first_loss_however_often_it_is_asked_again(
    losses_s: list[float],
) -> None:
    course = Course()
    for at_s in losses_s:
        course = course.lost("no answer", at_s, 600.0).asked(ASK, at_s)
    assert course.standing is CourseState.AWAY
    assert course.since_s == losses_s[0]
    assert course.until_s == losses_s[0] + 600.0


def test_what_was_held_is_there_again_once_it_answers() -> None:
    held = Course().lost("no answer", 0.0, 1.0).held(1.0, "no answer")
    assert held.is_over
    assert held.is_gone
    assert held.lost("still none", 5.0, 1.0) == held
    assert held.answered(9.0) == Course(CourseState.IDLE, 9.0)
