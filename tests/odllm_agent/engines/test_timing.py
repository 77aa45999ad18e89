"""What the times of a prompt are counted from."""

from odllm_agent.engines.timing import Prefill


def test_both_times_begin_when_the_prompt_is_handed_over() -> None:
    start_ns = 7_000_000_000
    found = Prefill.between(start_ns, start_ns + 250_000_000, start_ns + 300_000_000)
    assert (found.prefill_s, found.ttft_s) == (0.25, 0.3)
