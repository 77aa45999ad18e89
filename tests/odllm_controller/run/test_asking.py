"""What an agent is asked, on its way."""

from itertools import count

import pytest

from odllm_agent.contract import (
    AgentApi,
    CeilingsOrder,
    Cooldown,
    Limits,
    Measurement,
    Order,
    RepeatPolicy,
    Rest,
    Tag,
)
from odllm_controller.run.asking import Ask
from tests import support

REST = Rest("id-of-laptop", 0, (), 5.0)
TAG = Tag("store", "run")


def test_what_it_takes_last_is_worked_out_each_time_it_is_sent() -> None:
    numbers = count()
    ask = Ask.later(
        AgentApi.carry_out, REST, TAG, Limits(), latest=lambda: (f"entry-{next(numbers)}",)
    )
    for wanted in ("entry-0", "entry-1"):
        sent = ask.within(7.0).settled()
        assert sent.is_of(AgentApi.carry_out)
        assert (sent.method, sent.deadline_s) == ("carry_out", 7.0)
        assert sent.arguments == (REST, TAG, Limits(), (wanted,))
        assert sent.settled() == sent


@pytest.mark.parametrize(
    ("order", "longest_s"),
    [
        (REST, 5.0),
        (support.quality_check(deadline_s=60.0), 60.0),
        (CeilingsOrder("id-of-laptop", support.engine(), ("read",), deadline_s=90.0), 90.0),
        (Measurement(support.trial(), 0, RepeatPolicy(), deadline_s=60.0), 60.0),
        (
            Measurement(
                *(support.trial(), 0, RepeatPolicy()),
                deadline_s=60.0,
                cooldown=Cooldown(below_c=50.0, at_most_s=30.0, pause_s=2.0),
            ),
            92.0,
        ),
    ],
)
def test_an_order_takes_no_longer_than_it_waits_and_works(order: Order, longest_s: float) -> None:
    assert order.longest_s == longest_s
