"""How a device stands in a run."""

from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import AgentApi
from odllm_controller.run.asking import Ask
from odllm_controller.run.device_activity import Activity, DeviceActivity, Pause

ASK = Ask.of(AgentApi.underway).within(60.0)


def test_a_device_that_does_not_answer_until_its_deadline_is_due() -> None:
    status = DeviceActivity().asked(ASK, 10.0)
    assert status.activity is Activity.RUNNING
    assert not status.is_due(69.9)
    assert status.is_due(70.0)


def test_a_pause_ends_by_itself_and_says_why_it_is_made() -> None:
    status = DeviceActivity().paused(Pause("it runs on its battery", 30.0), 5.0)
    assert (status.activity, status.reason) == (Activity.WAITING, "it runs on its battery")
    assert not status.is_over
    assert status.is_due(35.0)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5).map(sorted))
def test_grace_counts_from_the_first_loss_however_often_it_is_asked_again(
    losses_s: list[float],
) -> None:
    status = DeviceActivity()
    for at_s in losses_s:
        status = status.lost("no answer", at_s, 600.0).asked(ASK, at_s)
    assert status.activity is Activity.AWAY
    assert status.since_s == losses_s[0]
    assert status.until_s == losses_s[0] + 600.0


def test_what_was_held_is_there_again_once_it_answers() -> None:
    held = DeviceActivity().lost("no answer", 0.0, 1.0).held(1.0, "no answer")
    assert held.is_over
    assert held.is_gone
    assert held.lost("still none", 5.0, 1.0) == held
    assert held.answered(9.0) == DeviceActivity(Activity.IDLE, 9.0)
